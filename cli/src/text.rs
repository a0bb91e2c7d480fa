//! Text for people.

use std::time::Duration;

use serde_json::Value;

/// Values of a list that are shown.
const SHOWN: usize = 16;

/// Replaces control characters, which names in files could use to play tricks on a terminal.
pub fn printable(text: &str) -> String {
    let visible =
        |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(visible).collect()
}

/// A number of bytes in a unit that reads well; a thousand bytes are a kB.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.2} {unit}") }
}

/// A time in a unit that reads well.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// The first values of a list, and how many follow.
pub fn list<T>(values: &[T], show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = values.iter().take(SHOWN).map(show).collect();
    let rest = values.len() - shown.len();
    let more = if rest == 0 { String::new() } else { format!(", and {rest} more") };
    format!("{}{more}", shown.join(", "))
}

/// Rows under a heading, in columns as wide as needed; the first column to the left, numbers to the right.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut heading.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A JSON value as indented lines `name: value`.
pub fn outline(value: &Value) -> String {
    let mut lines = Vec::new();
    push_outline(value, 0, &mut lines);
    lines.join("\n")
}

fn push_outline(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = key.replace('_', " ");
                match scalar(value) {
                    Some(text) => lines.push(format!("{indent}{key}: {text}")),
                    None => {
                        lines.push(format!("{indent}{key}:"));
                        push_outline(value, depth + 1, lines);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(object) => lines.push(format!("{indent}- {}", inline(object))),
                    other => lines.push(format!("{indent}- {}", scalar(other).unwrap_or_default())),
                }
            }
        }
        other => lines.extend(scalar(other).map(|text| format!("{indent}{text}"))),
    }
}

fn inline(object: &serde_json::Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| {
        let text = scalar(value).unwrap_or_else(|| value.to_string());
        format!("{} {text}", key.replace('_', " "))
    };
    object.iter().map(pair).collect::<Vec<_>>().join(", ")
}

/// A value that fits a line.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("none".to_owned()),
        Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => Some("none".to_owned()),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            Some(list(items, |item| scalar(item).unwrap_or_default()))
        }
        Value::Object(object) if object.is_empty() => Some("none".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn units_and_lists() {
        assert_eq!(
            (bytes(999), bytes(2_310), bytes(1_500_000)),
            ("999 B".into(), "2.31 kB".into(), "1.50 MB".into())
        );
        assert_eq!(duration(Duration::from_micros(12_345)), "12.3 ms");
        assert_eq!(duration(Duration::from_millis(1500)), "1.50 s");
        let numbers: Vec<u32> = (0..18).collect();
        assert!(list(&numbers, u32::to_string).ends_with("14, 15, and 2 more"));
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\u{fffd}[2J\nb");
    }

    #[test]
    fn tables_and_outlines() {
        let rows = vec![vec!["dense".to_owned(), "7".to_owned()], vec!["x".to_owned(), "123".to_owned()]];
        assert_eq!(table(&["layer", "n"], &rows), "layer    n\ndense    7\nx      123");
        let value = json!({ "log_rows": 12, "inner": { "a": [1, 2] }, "list": [{ "name": "m", "rows": 3 }], "no": [] });
        let text = outline(&value);
        for line in ["log rows: 12", "inner:\n  a: 1, 2", "list:\n  - name m, rows 3", "no: none"] {
            assert!(text.contains(line), "{text}");
        }
    }
}

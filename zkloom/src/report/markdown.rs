//! Documents as Markdown, with the tables of GitHub's. Plots are bars of text.

use super::document::{Block, Document, Plot, Table};
use super::text::visible;

/// Characters of the longest bar.
const BAR: usize = 32;

/// The document.
pub(super) fn render(document: &Document) -> String {
    let mut parts = vec![format!("# {}", escaped(&document.title))];
    parts.extend(document.blocks.iter().map(block));
    parts.join("\n\n") + "\n"
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(text) => format!("## {}", escaped(text)),
        Block::Paragraph(text) => escaped(text),
        Block::List(items) => {
            items.iter().map(|item| format!("- {}", escaped(item))).collect::<Vec<_>>().join("\n")
        }
        Block::Table(table) => rows(table),
        Block::Plot(plot) => bars(plot),
    }
}

/// A text whose characters mean nothing to Markdown or to the HTML that may stand in it.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

fn rows(table: &Table) -> String {
    let line = |cells: &[String]| {
        format!("| {} |", cells.iter().map(|c| escaped(c)).collect::<Vec<_>>().join(" | "))
    };
    let marks = (0..table.heading.len()).map(|column| if column == 0 { "---" } else { "---:" });
    let marks = format!("| {} |", marks.collect::<Vec<_>>().join(" | "));
    let rows = table.rows.iter().map(|row| line(row));
    [line(&table.heading), marks].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Bars in a block of code, whose fence is longer than any run of backticks inside.
fn bars(plot: &Plot) -> String {
    let (least, greatest) = plot.scale();
    // A value that is no number has no place, and is drawn at the start.
    let place =
        |value: f64| (((value - least) / (greatest - least)).clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let names = plot.groups.iter().map(|group| group.label.chars().count());
    let series = plot.series.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let width = names.max().unwrap_or(0);
    let mut lines = Vec::new();
    for group in &plot.groups {
        for (index, (bar, name)) in group.bars.iter().zip(&plot.series).enumerate() {
            let label = if index == 0 { visible(&group.label) } else { String::new() };
            let Some(bar) = bar else { continue };
            let (start, end) = (place(bar.from), place(bar.to));
            let drawn = format!("{}{}", " ".repeat(start.min(end)), "█".repeat(start.abs_diff(end)));
            let which =
                if plot.series.len() > 1 { format!("{:series$}  ", visible(name)) } else { String::new() };
            lines.push(
                format!("{label:width$}  {which}{drawn:BAR$}  {}", visible(&bar.text)).trim_end().to_owned(),
            );
        }
    }
    let content = lines.join("\n");
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{}\n\n{fence}text\n{content}\n{fence}", escaped(&plot.title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{Bar, BarGroup};

    #[test]
    fn names_stay_in_their_cells_and_bars() {
        let name = "a|b\n<script>alert(1)</script> `x` ``` [l](javascript:1) \\".to_owned();
        let table =
            Table { heading: vec!["layer".into(), "n".into()], rows: vec![vec![name.clone(), "1".into()]] };
        let text = rows(&table);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('<') && text.contains("a\\|b &lt;script&gt;"), "{text}");
        // Cells are parted by bars that no backslash stands before.
        let last = text.lines().last().unwrap().replace("\\\\", "").replace("\\|", "");
        assert_eq!(last.matches('|').count(), 3, "{text}");
        let bar = |from, to| Some(Bar { from, to, text: "7".into() });
        let plot = Plot {
            title: "rows".into(),
            series: vec!["before".into(), "after".into()],
            groups: vec![
                BarGroup { label: name, bars: vec![bar(0.0, 4.0), bar(-4.0, 2.0)] },
                BarGroup { label: "c".into(), bars: vec![None, bar(0.0, 0.0)] },
            ],
        };
        let text = bars(&plot);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 2 + 3, "{text}");
        assert_eq!((lines[2], lines[6]), ("````text", "````"), "{text}");
        assert!(lines[3].contains(&"█".repeat(16)) && lines[4].contains(&"█".repeat(24)), "{text}");
    }
}

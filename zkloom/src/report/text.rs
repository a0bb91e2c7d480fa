//! Figures in words, and texts without what could disturb a reader or a parser.

/// A text in one line, without control characters and without those that turn the direction of what follows, which names in files
/// could use to play tricks on a reader.
pub(super) fn visible(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let forbidden = |c: char| c.is_control() || turns(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    let line = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if forbidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(line).collect()
}

/// A count with a comma between thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in a unit that reads well; a thousand bytes are a kB.
pub(super) fn bytes(count: u64) -> String {
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
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A part of a whole, 0 to 1, in percent.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// A part of a whole of samples, in percent with the digits that accuracies are compared by.
pub(super) fn accuracy(part: f64) -> String {
    format!("{:.2} %", 100.0 * part)
}

/// A real number with four digits that count.
pub(super) fn real(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&magnitude) {
        format!("{value:.3e}")
    } else {
        let digits = (3 - magnitude.log10().floor() as i32).max(0) as usize;
        format!("{value:.digits$}")
    }
}

/// A ratio in decibels; no noise at all is exact.
pub(super) fn decibels(value: Option<f64>) -> String {
    value.map_or_else(|| "exact".to_owned(), |value| format!("{value:.1} dB"))
}

/// How a value changed, in percent of what it was.
pub(super) fn change(before: f64, after: f64) -> String {
    match before == after {
        true => "the same".to_owned(),
        false if before == 0.0 => String::new(),
        false => format!("{:+.1} %", 100.0 * (after / before - 1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 2_310, 1_500_000].map(bytes), ["5 B", "2.31 kB", "1.50 MB"]);
        assert_eq!([0.0123, 1.5].map(seconds), ["12.3 ms", "1.50 s"]);
        assert_eq!(
            [0.0, 1.0, -13.4449, 123_456.0, 0.000_012, 0.25].map(real),
            ["0", "1.000", "-13.44", "1.235e5", "1.200e-5", "0.2500"]
        );
        assert_eq!(
            (change(4.0, 3.0), change(2.0, 2.0), change(0.0, 1.0)),
            ("-25.0 %".into(), "the same".into(), String::new())
        );
        assert_eq!((decibels(None), decibels(Some(31.26))), ("exact".into(), "31.3 dB".into()));
    }

    #[test]
    fn names_cannot_break_lines_or_turn_them_around() {
        assert_eq!(visible("a\nb\u{202e}c\u{1b}[2Jd\u{0}"), "a b\u{fffd}c\u{fffd}[2Jd\u{fffd}");
    }
}

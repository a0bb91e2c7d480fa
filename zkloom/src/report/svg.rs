//! Plots as SVG that stands inside a page and takes its colours from the page's style.

use std::fmt::Write;

use super::document::{Bar, Plot};
use super::html::escaped;
use super::text::visible;

/// Units across; a phone shows about as many pixels.
const WIDTH: f64 = 400.0;
/// Units that bars may take; figures stand right of them.
const BARS: f64 = 300.0;
/// Height of a group's label, and of a bar with its gap.
const LABEL: f64 = 15.0;
const BAR: f64 = 11.0;
const GAP: f64 = 5.0;
/// Most characters of a label.
const LABEL_LENGTH: usize = 60;

/// The plot.
pub(super) fn render(plot: &Plot) -> String {
    let legend = if plot.series.len() > 1 { LABEL + GAP } else { 0.0 };
    let rows: f64 = plot.groups.iter().map(|group| LABEL + BAR * group.bars.len() as f64 + GAP).sum();
    let height = legend + rows;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>\n",
        escaped(&plot.title)
    );
    if plot.series.len() > 1 {
        for (index, name) in plot.series.iter().enumerate() {
            let x = 110.0 * index as f64;
            push(
                &mut svg,
                &format!("<rect class=\"s{index}\" x=\"{x}\" y=\"3\" width=\"10\" height=\"9\"/>"),
            );
            push(&mut svg, &format!("<text x=\"{}\" y=\"11\">{}</text>", x + 14.0, escaped(name)));
        }
    }
    let scale = plot.scale();
    let mut y = legend;
    for group in &plot.groups {
        let label = visible(&group.label);
        let title = format!("<title>{}</title>", escaped(&label));
        push(
            &mut svg,
            &format!("<text x=\"0\" y=\"{}\">{}{title}</text>", y + 11.0, escaped(&shortened(&label))),
        );
        y += LABEL;
        for (index, bar) in group.bars.iter().enumerate() {
            if let Some(bar) = bar {
                push(&mut svg, &drawn(bar, index, scale, y));
            }
            y += BAR;
        }
        y += GAP;
    }
    if scale.0 < 0.0 {
        let x = place(0.0, scale);
        push(&mut svg, &format!("<line x1=\"{x}\" y1=\"{legend}\" x2=\"{x}\" y2=\"{height}\"/>"));
    }
    svg + "</svg>"
}

fn push(svg: &mut String, element: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}

/// Where a value lies across.
fn place(value: f64, (least, greatest): (f64, f64)) -> f64 {
    let part = (value - least) / (greatest - least);
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    (10.0 * BARS * part).round() / 10.0
}

fn drawn(bar: &Bar, index: usize, scale: (f64, f64), y: f64) -> String {
    let (from, to) = (place(bar.from, scale), place(bar.to, scale));
    let (x, width) = (from.min(to), (from - to).abs().max(0.5));
    format!(
        "<rect class=\"s{index}\" x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\"/><text class=\"n\" x=\"{}\" y=\"{}\">{}</text>",
        BAR - 2.0,
        BARS + 4.0,
        y + 8.5,
        escaped(&bar.text)
    )
}

/// A label that is too long loses its middle.
fn shortened(label: &str) -> String {
    let characters: Vec<char> = label.chars().collect();
    if characters.len() <= LABEL_LENGTH {
        return label.to_owned();
    }
    let half = LABEL_LENGTH / 2;
    let (start, end) = (&characters[..half], &characters[characters.len() - half + 1..]);
    start.iter().chain(['…'].iter()).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::BarGroup;

    #[test]
    fn bars_keep_their_proportions_and_stay_inside() {
        let bar = |from, to| Some(Bar { from, to, text: "<7>".into() });
        let label = "x".repeat(200);
        let groups = vec![
            BarGroup { label, bars: vec![bar(-10.0, 20.0), None] },
            BarGroup { label: "b".into(), bars: vec![None, bar(0.0, f64::NAN)] },
        ];
        let svg = render(&Plot { title: "t".into(), series: vec!["one".into(), "two".into()], groups });
        assert!(svg.contains("x=\"0\" y=\"35\" width=\"300.0\""), "{svg}");
        assert!(svg.contains("&lt;7&gt;") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains("x1=\"100\""), "{svg}");
        assert_eq!(shortened(&"x".repeat(200)).chars().count(), LABEL_LENGTH);
    }
}

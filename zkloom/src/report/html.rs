//! Documents as one HTML page, well-formed as XML too: style and plots are inside, there is no script, nothing is loaded.

use super::document::{Block, Document, Table};
use super::svg;
use super::text::visible;

/// Readable on a phone (wide tables scroll by themselves), light or dark as the reader has it, and on paper.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--page:#fff;--band:#f6f8fa;--s0:#5b7fb4;--s1:#d9822b}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b1;--line:#3d444d;--page:#0d1117;--band:#161b22;--s0:#7ea6dc;--s1:#f0a04b}}
body{margin:0 auto;padding:1rem;max-width:64rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--line)}
p,li{overflow-wrap:anywhere;max-width:44rem}
div{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;vertical-align:bottom;white-space:normal}
th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:8rem}
tbody tr:nth-child(even){background:var(--band)}
figure{margin:1.5rem 0;max-width:36rem}
figcaption{font-weight:600;margin-bottom:.4rem}
svg{width:100%;height:auto;display:block}
text{fill:var(--ink);font:11px system-ui,sans-serif}
.n{fill:var(--soft);font-size:9.5px}
.s0{fill:var(--s0)}
.s1{fill:var(--s1)}
line{stroke:var(--soft);stroke-width:.5}";

/// Lets a browser run nothing and load nothing, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page.
pub(super) fn render(document: &Document) -> String {
    let title = escaped(&document.title);
    let body: Vec<String> = document.blocks.iter().map(block).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{}\n</body>\n</html>\n",
        body.join("\n")
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(text) => format!("<h2>{}</h2>", escaped(text)),
        Block::Paragraph(text) => format!("<p>{}</p>", escaped(text)),
        Block::List(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("<li>{}</li>", escaped(item))).collect();
            format!("<ul>\n{}\n</ul>", items.join("\n"))
        }
        Block::Table(table) => rows(table),
        Block::Plot(plot) => {
            format!(
                "<figure><figcaption>{}</figcaption>\n{}</figure>",
                escaped(&plot.title),
                svg::render(plot)
            )
        }
    }
}

/// A text whose characters mean nothing to HTML, in content and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn rows(table: &Table) -> String {
    let line = |cells: &[String], tag: &str| {
        let cells: Vec<String> =
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{}</tr>", cells.concat())
    };
    let rows: Vec<String> = table.rows.iter().map(|row| line(row, "td")).collect();
    format!(
        "<div><table>\n<thead>{}</thead>\n<tbody>\n{}\n</tbody>\n</table></div>",
        line(&table.heading, "th"),
        rows.join("\n")
    )
}

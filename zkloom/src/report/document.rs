//! A report between its data and its looks: headings, paragraphs, tables and plots. Texts are as they come, with whatever stands in
//! the names of layers and files; each renderer escapes them.

/// A table: the first column is a name, the others are figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Titles of the columns.
    pub heading: Vec<String>,
    /// Cells, as many in each row as there are titles.
    pub rows: Vec<Vec<String>>,
}

/// One bar of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Where it begins; 0 for most.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its figure in words.
    pub text: String,
}

/// Bars that belong together, one for each series; nothing where a series has none.
#[derive(Clone, Debug, PartialEq)]
pub struct BarGroup {
    /// What they are of.
    pub label: String,
    /// As many as the plot has series.
    pub bars: Vec<Option<Bar>>,
}

/// Horizontal bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Names of the series, at most two.
    pub series: Vec<String>,
    /// Groups from the top down.
    pub groups: Vec<BarGroup>,
}

impl Plot {
    /// Ends of the common scale of all bars, zero always inside.
    pub fn scale(&self) -> (f64, f64) {
        let bars = self.groups.iter().flat_map(|group| group.bars.iter().flatten());
        let ends = bars.flat_map(|bar| [bar.from, bar.to]).filter(|end| end.is_finite());
        ends.fold((0.0, 0.0), |(least, greatest), end| (f64::min(least, end), f64::max(greatest, end)))
    }

    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        let (least, greatest) = self.scale();
        least == greatest
    }
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading of a section.
    Heading(String),
    /// A paragraph.
    Paragraph(String),
    /// A list of items.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A plot.
    Plot(Plot),
}

/// A whole document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Its parts in order.
    pub blocks: Vec<Block>,
}

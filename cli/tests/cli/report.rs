//! `zkloom report`: what it says is what the other commands say, and its pages are well formed.

use crate::world::{Run, fixture, program, scratch};

/// Every element that is opened is closed, in order; elements without content stand alone.
fn check_well_formed(html: &str) {
    let mut open: Vec<String> = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag ends");
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if tag.starts_with('!') || tag.ends_with('/') || ["meta", "br", "hr", "link"].contains(&name.as_str())
        {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "</{name}> closes another element");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn a_report_says_what_compile_says_and_is_a_page() {
    let folder = scratch();
    let run = |arguments: &[&str]| {
        Run::of(program(&folder.path().join("home")).args(arguments).current_dir(folder.path()))
    };
    let (model, data) = (fixture("digits-cnn.onnx"), fixture("digits-cnn-calibration.npz"));
    let test = fixture("digits-cnn-test.npz");
    let common = ["--calibration", &data];
    let compiled = run(&[&["compile", &model, "--json", "-o", "c"], &common[..]].concat()).succeeds().json();
    let reported = run(&[
        &[
            "report",
            &model,
            "--json",
            "--evaluation",
            &test,
            "--channels",
            "0.25",
            "-o",
            "r.html",
            "-o",
            "r.md",
        ],
        &common[..],
    ]
    .concat())
    .succeeds();
    let text = reported.json().to_string();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (html, markdown) = (read("r.html"), read("r.md"));
    check_well_formed(&html);
    // It is one file, and needs no network and no program.
    for foreign in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(html.contains("<svg"));
    for word in ["relu1", "conv1", "before", "after"] {
        assert!(html.contains(word) && markdown.contains(word), "{word}");
    }
    let architecture = compiled["architecture"].as_str().map(str::to_owned);
    assert!(architecture.is_none_or(|digest| text.contains(&digest)), "{text}");
    assert!(text.contains("450"), "all samples are evaluated: {text}");
}

#[test]
fn reports_that_cannot_be_made_write_nothing() {
    let folder = scratch();
    let (model, data) = (fixture("digits-cnn.onnx"), fixture("digits-cnn-calibration.npz"));
    let run = |output: &[&str]| {
        let arguments = [&["report", &model, "--calibration", &data], output].concat();
        Run::of(program(&folder.path().join("home")).args(arguments).current_dir(folder.path()))
    };
    run(&["-o", "r.pdf"]).fails(3, &["r.pdf", ".html or .md"]);
    run(&["-o", "r.md", "-o", "r.md"]).fails(3, &["given twice"]);
    run(&["-o", "r.md", "--against", "none.onnx"]).fails(4, &["none.onnx"]);
    run(&["-o", "r.md", "--output-tensor", "nothing"]).fails(3, &["nothing", "outputs are output"]);
    assert!(!folder.path().join("r.md").exists());
}

//! The header and the library, used from C.

use std::path::PathBuf;
use std::process::Command;

/// The folder of the library that cargo built beside this test.
fn library_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

#[test]
fn a_c_program_uses_the_processor() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("embed");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let library = library_folder();
    let compiled = Command::new(&compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg(root.join("tests/embed.c"))
        .arg(format!("-L{}", library.display()))
        .arg("-lzkloom_c")
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .arg("-o")
        .arg(&program)
        .output();
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) => {
            println!("skipped: the C compiler `{compiler}` can't be run ({error})");
            assert!(std::env::var_os("CI").is_none(), "continuous integration needs a C compiler");
            return;
        }
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let run = Command::new(&program).arg("cpu").output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains("as it should be"));
}

//! Makes the queue page a part of the program: has Vite build `web/` when its sources are newer than what was built, and
//! writes a table of the files.
//!
//! Cargo runs this only when something in `web/` has changed. Without npm, a `web/dist` that was built elsewhere serves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

/// What the page is built from, below `web/`.
const SOURCES: [&str; 6] =
    ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src"];

fn main() {
    // Where it runs, not where it was compiled: a target folder may move with its checkout.
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where");
    let web = Path::new(&here).join("../web");
    let sources = SOURCES.map(|name| web.join(name));
    for source in &sources {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let dist = web.join("dist");
    if is_outdated(&dist.join("index.html"), &sources) {
        build(&web, &dist);
    } else {
        // What was built elsewhere may be replaced. What is built here would look changed to Cargo the next time.
        println!("cargo::rerun-if-changed={}", dist.join("index.html").display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    fs::write(out.join("assets.rs"), table(&dist, &out)).expect("cargo's folder can be written to");
}

/// The files as a table in Rust. They are copied beside it, so that it holds whatever becomes of `web/dist`.
fn table(dist: &Path, out: &Path) -> String {
    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (number, file) in files_in(dist).into_iter().enumerate() {
        let content = fs::read(&file).expect("a file that was just listed");
        let path = file.strip_prefix(dist).expect("below the folder").to_str().expect("a path in ASCII");
        let (kind, etag) = (content_type(path), format!("\"{:016x}\"", fingerprint(&content)));
        let copy = out.join(format!("asset-{number}"));
        fs::write(&copy, content).expect("cargo's folder can be written to");
        writeln!(
            table,
            "    Asset {{ path: {path:?}, content: include_bytes!({copy:?}), content_type: {kind:?}, etag: {etag:?} }},"
        )
        .expect("a string takes everything");
    }
    table + "];\n"
}

/// Whether the page was never built, or some source is newer than it.
fn is_outdated(built: &Path, sources: &[PathBuf]) -> bool {
    let Some(built) = changed(built) else { return true };
    let newest = |source: &PathBuf| {
        let folder = if source.is_dir() { files_in(source) } else { Default::default() };
        folder.iter().chain([source]).filter_map(|path| changed(path)).max()
    };
    sources.iter().filter_map(newest).max().is_none_or(|newest| newest > built)
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn build(web: &Path, dist: &Path) {
    let run = |args: &[&str]| {
        let output = Command::new("npm").args(args).current_dir(web).output().ok()?;
        if !output.status.success() {
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            panic!("`npm {}` failed in web/:\n{out}{err}", args.join(" "));
        }
        Some(())
    };
    // npm leaves a copy of what it has installed.
    let installed = web.join("node_modules/.package-lock.json");
    let done = if is_outdated(&installed, &[web.join("package-lock.json")]) {
        run(&["ci", "--no-audit", "--no-fund"]).and_then(|()| run(&["run", "--silent", "build"]))
    } else {
        run(&["run", "--silent", "build"])
    };
    match done {
        Some(()) => {}
        None if dist.join("index.html").is_file() => {
            println!(
                "cargo::warning=npm is not there, so the queue page stays as it was last built: older than web/"
            );
        }
        None => panic!(
            "The queue page is not built, and npm is not there to build it. Install Node 20.19 or newer \
             (https://nodejs.org) and run this again, or run `npm ci && npm run build` in web/ elsewhere and bring \
             web/dist here."
        ),
    }
}

/// All files below a folder, in the order of their names.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_in(&path)),
            path => files.push(path),
        }
    }
    files.sort();
    files
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => panic!(
            "{path} is of a kind that the queue page has not had yet: say its type in gateway/build.rs"
        ),
    }
}

/// FNV-1a: tells our own files apart, and need not withstand anybody.
fn fingerprint(content: &[u8]) -> u64 {
    content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

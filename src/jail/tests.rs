#![expect(clippy::disallowed_methods, reason = "tests build the directories that the jail then opens")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// `outer/secret` lies outside, `outer/root/app` is where sources start.
struct Tree {
    _holder: tempfile::TempDir,
    root: PathBuf,
    app: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let holder = tempfile::tempdir().unwrap();
        let outer = holder.path().canonicalize().unwrap();
        let root = outer.join("root");
        let app = root.join("app");
        fs::create_dir_all(&app).unwrap();
        fs::create_dir(root.join("shared")).unwrap();
        fs::write(outer.join("secret"), "CANARY-7f3a outside").unwrap();
        fs::write(root.join("shared/db.enc.yaml"), "shared").unwrap();
        fs::write(app.join("own.enc.yaml"), "own").unwrap();
        Self { _holder: holder, root, app }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, JailError> {
        let source = SourcePath::parse(path).unwrap();
        Root::with(&self.root).unwrap().read(&self.app, &source, 100).map(FileBytes::into_vec)
    }

    fn reason(&self, path: &str) -> Reason {
        self.refusal(path).reason
    }

    fn refusal(&self, path: &str) -> JailError {
        let started = Instant::now();
        let refusal = self.read(path).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2), "{path} took {:?}", started.elapsed());
        assert!(!format!("{refusal} {refusal:?}").contains("CANARY"), "content in {refusal}");
        refusal
    }
}

#[test]
fn reads_beside_and_above_the_base() {
    let tree = Tree::new();
    assert_eq!(tree.read("own.enc.yaml").unwrap(), b"own");
    assert_eq!(tree.read("./own.enc.yaml").unwrap(), b"own");
    assert_eq!(tree.read("../shared/db.enc.yaml").unwrap(), b"shared");
    assert_eq!(tree.read("../shared/../app/own.enc.yaml").unwrap(), b"own");
}

#[test]
fn refuses_paths_out_of_the_root() {
    let tree = Tree::new();
    for path in
        ["../../secret", "../shared/../../secret", "../../root/app/own.enc.yaml", "../../../../../../etc/passwd"]
    {
        assert_eq!(tree.reason(path), Reason::OutsideRoot, "{path}");
    }
    let hint = tree.refusal("../../secret").hint.unwrap();
    assert!(hint.contains(tree.root.to_str().unwrap()) && hint.contains("UNSOPS_ROOT"), "{hint}");
    println!("figure: 4 of 4 paths refused");
}

#[test]
fn follows_links_inside_and_refuses_links_out_of_the_root() {
    let tree = Tree::new();
    symlink("../shared/db.enc.yaml", tree.app.join("inside")).unwrap();
    symlink("../shared", tree.app.join("dir")).unwrap();
    symlink("../../secret", tree.app.join("out")).unwrap();
    symlink("../..", tree.app.join("dir-out")).unwrap();
    symlink(tree.app.join("own.enc.yaml"), tree.app.join("absolute")).unwrap();
    symlink("/proc/self/environ", tree.app.join("proc")).unwrap();
    symlink("out", tree.app.join("chain")).unwrap();
    assert_eq!(tree.read("inside").unwrap(), b"shared");
    assert_eq!(tree.read("dir/db.enc.yaml").unwrap(), b"shared");
    for path in ["out", "dir-out/secret", "absolute", "proc", "chain", "dir/../../secret"] {
        let reason = tree.reason(path);
        assert!(matches!(reason, Reason::LinkOutsideRoot | Reason::OutsideRoot), "{path}: {reason:?}");
    }
    assert_eq!(tree.reason("out"), Reason::LinkOutsideRoot);
    println!("figure: 6 of 6 links out refused, 2 of 2 inside followed");
}

#[test]
fn parent_of_a_linked_directory_is_the_kernels() {
    let tree = Tree::new();
    fs::create_dir_all(tree.root.join("deep/er")).unwrap();
    fs::write(tree.root.join("deep/own.enc.yaml"), "deep").unwrap();
    symlink("../deep/er", tree.app.join("dir")).unwrap();
    let kernels = fs::read(tree.app.join("dir/../own.enc.yaml")).unwrap();
    assert_eq!(tree.read("dir/../own.enc.yaml").unwrap(), kernels);
    assert_eq!(kernels, b"deep"); // a purely textual reading would give `own`
}

#[test]
fn refuses_loops_and_links_to_nothing() {
    let tree = Tree::new();
    symlink("b", tree.app.join("a")).unwrap();
    symlink("a", tree.app.join("b")).unwrap();
    symlink("nowhere", tree.app.join("dangling")).unwrap();
    assert_eq!(tree.reason("a"), Reason::LinkLoop);
    let dangling = tree.refusal("dangling");
    assert_eq!(dangling.reason, Reason::Missing);
    assert!(dangling.hint.unwrap().contains("points to nothing"));
}

#[test]
fn refuses_what_is_no_regular_file_at_once() {
    let begun = Instant::now();
    let tree = Tree::new();
    mknodat(CWD, tree.app.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(tree.app.join("socket")).unwrap();
    assert_eq!(tree.reason("fifo"), Reason::Fifo);
    assert_eq!(tree.reason("socket"), Reason::Socket);
    assert_eq!(tree.reason("."), Reason::Directory);
    assert_eq!(tree.reason("../shared"), Reason::Directory);
    assert_eq!(tree.reason("own.enc.yaml/"), Reason::NotADirectory);
    assert_eq!(tree.reason("own.enc.yaml/x"), Reason::NotADirectory);
    let dev = Root::with(Path::new("/dev")).unwrap();
    for device in ["zero", "null", "tty"] {
        let refusal = dev.read(Path::new("/dev"), &SourcePath::parse(device).unwrap(), 10).map(|_| ()).unwrap_err();
        assert_eq!(refusal.reason, Reason::Device, "{device}");
    }
    println!("figure: 9 of 9 refused, in {} ms", begun.elapsed().as_millis());
}

#[test]
fn refuses_links_of_the_proc_file_system_even_if_the_root_is_everything() {
    let root = Root::with(Path::new("/")).unwrap();
    for path in ["proc/self/fd/0", "proc/self/root/etc/passwd", "dev/stdin", "proc/self/exe"] {
        let outcome = root.read(Path::new("/"), &SourcePath::parse(path).unwrap(), 1 << 20).map(|_| ());
        assert!(outcome.is_err(), "{path}");
    }
    println!("figure: 4 of 4 links of /proc refused");
}

#[test]
fn a_file_of_the_limit_is_read_and_one_byte_more_is_not() {
    let tree = Tree::new();
    fs::write(tree.app.join("full"), [b'x'; 100]).unwrap();
    fs::write(tree.app.join("over"), [b'x'; 101]).unwrap();
    assert_eq!(tree.read("full").unwrap().len(), 100);
    assert_eq!(tree.reason("over"), Reason::TooLarge { limit: 100 });
    fs::write(tree.app.join("empty"), []).unwrap();
    assert_eq!(tree.read("empty").unwrap(), b"");
    println!("figure: limit of 100 bytes: 100 read, 101 refused");
}

#[test]
fn a_file_that_changes_size_after_it_was_measured_is_bounded() {
    let tree = Tree::new();
    let dir = Dir::open_ambient_dir(&tree.app, ambient_authority()).unwrap();
    fs::write(tree.app.join("grown"), vec![b'x'; 1 << 20]).unwrap();
    let grown = dir.open("grown").unwrap();
    assert!(matches!(read_bounded(grown, 5, 100), Err(Refused::Rule(Reason::TooLarge { limit: 100 }))));
    let shrunk = dir.open("own.enc.yaml").unwrap();
    assert!(read_bounded(shrunk, 90, 100).is_ok_and(|bytes| bytes == b"own"));
    println!("figure: 5 bytes became 1 MiB: refused at 101; 90 became 3: read");
}

#[test]
fn suggests_the_name_that_differs_in_case_or_little() {
    let tree = Tree::new();
    fs::write(tree.root.join("shared/DB.yaml"), "").unwrap();
    assert_eq!(tree.refusal("OWN.enc.yaml").hint.unwrap(), "did you mean OWN.enc.yaml?".replace("OWN", "own"));
    assert_eq!(tree.refusal("own.enc.yml").hint.unwrap(), "did you mean own.enc.yaml?");
    for name in ["key-b.yaml", "key-a.yaml", "key-abc.yaml"] {
        fs::write(tree.app.join(name), "").unwrap();
    }
    // The nearest, and of those the first by name.
    assert_eq!(tree.refusal("key-x.yaml").hint.unwrap(), "did you mean key-a.yaml?");
    assert_eq!(tree.refusal("key-ab.yaml").hint.unwrap(), "did you mean key-a.yaml?");
    assert_eq!(tree.refusal("key-abd.yaml").hint.unwrap(), "did you mean key-abc.yaml?");
    assert_eq!(tree.refusal("../shared/db.enc.yam").hint.unwrap(), "did you mean ../shared/db.enc.yaml?");
}

#[test]
fn says_where_paths_start() {
    let tree = Tree::new();
    let app = tree.app.to_str().unwrap();
    assert_eq!(tree.refusal("nothing-like-it").hint.unwrap(), format!("paths start at {app}"));
    assert_eq!(tree.refusal("no/such.yaml").hint.unwrap(), format!("no is missing too; paths start at {app}"));
}

#[test]
fn says_how_an_absolute_path_is_written() {
    let tree = Tree::new();
    let root = Root::with(&tree.root).unwrap();
    let absolute = tree.root.join("shared/db.enc.yaml");
    let hint = root.hint_for_absolute(&tree.app, absolute.to_str().unwrap()).unwrap();
    assert!(hint.starts_with("write ../shared/db.enc.yaml; "), "{hint}");
    assert_eq!(root.hint_for_absolute(&tree.app, "/etc/passwd"), None);
}

#[test]
fn names_that_are_not_utf8_are_no_obstacle() {
    let tree = Tree::new();
    let odd = tree.root.join(OsStr::from_bytes(b"o\xffdd"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("x.yaml"), "x").unwrap();
    fs::write(odd.join(OsStr::from_bytes(b"\xff.yaml")), "y").unwrap();
    let root = Root::with(&tree.root).unwrap();
    assert!(root.read(&odd, &SourcePath::parse("x.yaml").unwrap(), 9).is_ok());
    let refusal = root.read(&odd, &SourcePath::parse("none.yaml").unwrap(), 9).map(|_| ()).unwrap_err();
    assert!(refusal.hint.unwrap().contains("o\u{fffd}dd"));
    println!("figure: 2 names");
}

#[test]
fn long_names_are_refused() {
    let tree = Tree::new();
    assert_eq!(tree.reason(&"n".repeat(256)), Reason::NameTooLong);
    // 4,096 bytes, the most that SourcePath lets through. With the base it is more than one call to the kernel takes;
    // where the path is walked component by component, it is only missing.
    assert!(matches!(tree.reason(&"d/".repeat(2048)), Reason::NameTooLong | Reason::Missing));
    assert_eq!(tree.reason(&"d/".repeat(1000)), Reason::Missing);
}

#[test]
fn unreadable_is_said_so() {
    let tree = Tree::new();
    fs::set_permissions(tree.app.join("own.enc.yaml"), fs::Permissions::from_mode(0o000)).unwrap();
    match tree.read("own.enc.yaml") {
        Err(refusal) => assert_eq!(refusal.reason, Reason::Denied),
        Ok(_) => assert!(rustix::process::geteuid().is_root(), "only root reads a file of mode 000"),
    }
}

#[test]
fn a_base_outside_the_root_is_refused() {
    let tree = Tree::new();
    let root = Root::with(&tree.app).unwrap();
    let source = SourcePath::parse("db.enc.yaml").unwrap();
    let refusal = root.read(&tree.root.join("shared"), &source, 10).map(|_| ()).unwrap_err();
    assert_eq!(refusal.reason, Reason::OutsideRoot);
    assert!(refusal.hint.is_some());
    symlink("../shared", tree.app.join("dir")).unwrap();
    let refusal = root.read(&tree.app.join("dir"), &source, 10).map(|_| ()).unwrap_err();
    assert_eq!(refusal.reason, Reason::LinkOutsideRoot);
}

#[test]
fn a_base_through_a_link_from_elsewhere_is_accepted() {
    let tree = Tree::new();
    let link = tree.root.parent().unwrap().join("link");
    symlink(&tree.root, &link).unwrap();
    let root = Root::with(&link).unwrap();
    assert_eq!(root.path(), tree.root);
    let source = SourcePath::parse("own.enc.yaml").unwrap();
    assert!(root.read(&link.join("app"), &source, 10).is_ok());
}

fn environment(variables: &[(&str, &str)], current_dir: Option<&Path>) -> Environment {
    Environment::new(variables.iter().map(|(n, v)| ((*n).into(), (*v).into())), current_dir.map(Path::to_owned))
}

fn discovered(current_dir: &Path) -> PathBuf {
    Root::discover(&environment(&[], Some(current_dir))).map(|root| root.path().to_owned()).unwrap()
}

#[test]
fn the_root_is_the_git_work_tree_else_the_working_directory() {
    let tree = Tree::new();
    assert_eq!(discovered(&tree.app), tree.app);
    fs::create_dir(tree.root.join(".git")).unwrap();
    assert_eq!(discovered(&tree.app), tree.root);
    fs::write(tree.app.join(".git"), "gitdir: elsewhere").unwrap();
    assert_eq!(discovered(&tree.app), tree.app);
}

#[test]
fn the_root_is_the_streamed_tree_whatever_lies_above_or_below() {
    let tree = Tree::new();
    fs::create_dir(tree.root.join(".git")).unwrap();
    let streamed = tree.root.join("_cmp_server/5f0c");
    fs::create_dir_all(streamed.join("apps/one/.git")).unwrap();
    assert_eq!(discovered(&streamed), streamed);
    assert_eq!(discovered(&streamed.join("apps/one")), streamed);
    let brought_along = streamed.join("_cmp_server/x");
    fs::create_dir_all(&brought_along).unwrap();
    assert_eq!(discovered(&brought_along), brought_along);
}

#[test]
fn unsops_root_wins_and_must_be_absolute() {
    let tree = Tree::new();
    let root = Root::discover(&environment(&[("UNSOPS_ROOT", tree.root.to_str().unwrap())], None)).unwrap();
    assert_eq!(root.path(), tree.root);
    for relative in ["", ".", "../.."] {
        let outcome = Root::discover(&environment(&[("UNSOPS_ROOT", relative)], Some(&tree.app))).map(|_| ());
        assert_eq!(outcome.unwrap_err().reason, Reason::RootNotAbsolute);
    }
    for (absent, reason) in [("none", Reason::Missing), ("app/own.enc.yaml", Reason::NotADirectory)] {
        let absent = tree.root.join(absent);
        let outcome = Root::discover(&environment(&[("UNSOPS_ROOT", absent.to_str().unwrap())], None)).map(|_| ());
        assert_eq!(outcome.unwrap_err().reason, reason);
    }
}

#[test]
fn a_directory_named_by_the_operator_may_lie_in_another_work_tree() {
    let tree = Tree::new();
    fs::create_dir(tree.root.join(".git")).unwrap();
    let root = Root::discover_from(&environment(&[], None), &tree.app).unwrap();
    assert_eq!(root.path(), tree.root);
    let unsops_root = environment(&[("UNSOPS_ROOT", tree.app.to_str().unwrap())], None);
    assert_eq!(Root::discover_from(&unsops_root, &tree.root).unwrap().path(), tree.app);
}

#[test]
fn lists_a_directory_in_order_with_what_each_name_leads_to() {
    let tree = Tree::new();
    symlink("own.enc.yaml", tree.app.join("link")).unwrap();
    symlink("../shared", tree.app.join("dir")).unwrap();
    symlink("../../secret", tree.app.join("out")).unwrap();
    mknodat(CWD, tree.app.join("a-fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::create_dir(tree.app.join("below")).unwrap();
    let root = Root::with(&tree.root).unwrap();
    let list = |limit| root.list(&tree.app, Path::new(""), limit);
    let listed: Vec<_> = list(6).unwrap().into_iter().map(|l| (l.name, l.is_link, l.is_file, l.is_directory)).collect();
    let expected = [
        ("a-fifo", false, false, false),
        ("below", false, false, true),
        ("dir", true, false, true),
        ("link", true, true, false),
        ("out", true, false, false),
        ("own.enc.yaml", false, true, false),
    ];
    assert_eq!(listed, expected.map(|(name, link, file, directory)| (name.into(), link, file, directory)));
    assert_eq!(list(5).map(|_| ()).unwrap_err().reason, Reason::TooManyEntries { limit: 5 });
    for outside in ["../..", "../../..", "out", "none"] {
        assert!(root.list(&tree.app, Path::new(outside), 9).is_err(), "{outside}");
    }
}

#[test]
fn says_what_a_path_leads_to() {
    let tree = Tree::new();
    symlink("shared/db.enc.yaml", tree.root.join("link")).unwrap();
    symlink("../secret", tree.root.join("out")).unwrap();
    symlink("loop", tree.root.join("loop")).unwrap();
    let root = Root::with(&tree.root).unwrap();
    for (path, lead) in [
        ("", Lead::Directory),
        ("app", Lead::Directory),
        ("link", Lead::File),
        ("app/own.enc.yaml", Lead::File),
        ("none", Lead::Nothing),
        ("none/x", Lead::Nothing),
        ("out", Lead::Outside),
        ("../secret", Lead::Outside),
        ("loop", Lead::Other),
        ("app/own.enc.yaml/x", Lead::Other),
    ] {
        assert_eq!(root.lead(path), lead, "{path}");
    }
    assert_eq!(Root::with(Path::new("/dev")).unwrap().lead("null"), Lead::Other);
}

#[test]
fn replaces_a_file_whole_and_keeps_its_permissions() {
    let tree = Tree::new();
    let root = Root::with(&tree.root).unwrap();
    let path = tree.app.join("own.enc.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    root.replace("app/own.enc.yaml", b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    symlink("own.enc.yaml", tree.app.join("link")).unwrap();
    for refused in ["app/link", "app", "app/none", "../secret"] {
        assert!(root.replace(refused, b"new").is_err(), "{refused}");
    }
    assert!(fs::symlink_metadata(tree.app.join("link")).unwrap().is_symlink());
    // Where the new text cannot get its name, nothing of it stays.
    let names = fs::read_dir(&tree.app).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| ["link", "own.enc.yaml"].contains(&name.to_str().unwrap())));
}

#[test]
fn threads_share_a_root() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Root>();
}

#[test]
fn a_deleted_or_unreachable_working_directory_is_refused() {
    let unreachable = PathBuf::from("(unreachable)/x");
    for current_dir in [None, Some(unreachable.as_path())] {
        let outcome = Root::discover(&environment(&[], current_dir)).map(|_| ());
        assert_eq!(outcome.unwrap_err().reason, Reason::NoCurrentDir);
    }
}

#[test]
fn everything_is_a_root_only_if_asked_for() {
    if !Path::new("/.git").exists() {
        let outcome = Root::discover(&environment(&[], Some(Path::new("/")))).map(|_| ());
        assert_eq!(outcome.unwrap_err().reason, Reason::RootIsEverything);
    }
    assert!(Root::discover(&environment(&[("UNSOPS_ROOT", "/")], None)).is_ok());
}

#[test]
fn an_argument_is_read_from_anywhere_but_only_if_regular() {
    let tree = Tree::new();
    let read = |path: &Path| read_argument(path, 10).map(FileBytes::into_vec).map_err(|refusal| refusal.reason);
    assert_eq!(read(&tree.app.join("own.enc.yaml")), Ok(b"own".to_vec()));
    mknodat(CWD, tree.app.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(read(&tree.app.join("fifo")), Err(Reason::Fifo));
    assert_eq!(read(Path::new("/dev/zero")), Err(Reason::Device));
    assert_eq!(read(&tree.app), Err(Reason::Directory));
    assert_eq!(read(&tree.app.join("none")), Err(Reason::Missing));
    fs::write(tree.app.join("over"), [b'x'; 11]).unwrap();
    assert_eq!(read(&tree.app.join("over")), Err(Reason::TooLarge { limit: 10 }));
}

/// A name that is swapped between a file inside and a link out, and a directory between a real one and a link out.
#[test]
fn never_escapes_while_names_are_swapped() {
    let tree = Tree::new();
    let outer = tree.root.parent().unwrap();
    fs::create_dir(outer.join("twin")).unwrap();
    fs::write(outer.join("twin/own.enc.yaml"), "CANARY-7f3a outside").unwrap();
    fs::create_dir(tree.app.join("good")).unwrap();
    fs::write(tree.app.join("good/own.enc.yaml"), "own").unwrap();
    symlink("../../secret", tree.app.join("bad-file")).unwrap();
    symlink("../../twin", tree.app.join("bad")).unwrap();
    let is_done = AtomicBool::new(false);
    let (mut opened, mut refused) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for (good, bad, name) in [("own.enc.yaml", "bad-file", "swap-file"), ("good", "bad", "swap")] {
                    for target in [good, bad] {
                        // A link to a link: the inner one is good or bad, the rename is atomic.
                        let fresh = tree.app.join("fresh");
                        symlink(target, &fresh).unwrap();
                        fs::rename(&fresh, tree.app.join(name)).unwrap();
                    }
                }
            }
        });
        let root = Root::with(&tree.root).unwrap();
        let sources = ["swap-file", "swap/own.enc.yaml"].map(|path| SourcePath::parse(path).unwrap());
        for source in sources.iter().cycle().take(100_000) {
            match root.read(&tree.app, source, 100) {
                Ok(bytes) if bytes.as_slice() == b"own" => opened += 1,
                Ok(_) => is_done.store(true, Ordering::Relaxed),
                Err(_) => refused += 1,
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(opened + refused, 100_000, "some reads came from outside");
    assert!(opened > 0 && refused > 0, "the race was no race: {opened} opened, {refused} refused");
    println!("figure: 100,000 reads while names were swapped: {opened} inside, {refused} refused, 0 outside");
}

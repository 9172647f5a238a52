use std::path::Path;

#[test]
fn the_manifests_in_crds_are_those_of_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    for (name, rendered) in operator::manifests::render().expect("definitions are YAML") {
        let committed = std::fs::read_to_string(folder.join(name)).expect("a manifest for each kind");
        assert!(committed == rendered, "crds/{name} differs from the code: run `make crds`");
    }
}

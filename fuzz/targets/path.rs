//! A priced path has no unpriced spelling, whatever bytes come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_policy::{Access, CanonicalPath, Methods, Route, RouteTable, Target, Unlisted, Verdict};

fuzz_target!(|raw: &str| {
    let _ = Target::parse(raw);
    let Ok(path) = CanonicalPath::parse(raw) else {
        return;
    };
    let again = CanonicalPath::parse(path.as_str()).expect("the forwarded form is canonical");
    assert_eq!(again.as_str(), path.as_str());
    let price = "1".parse().expect("a price");
    let priced = Route {
        pattern: "/paid/*".parse().expect("a pattern"),
        methods: Methods::ANY,
        access: Access::Priced(price),
        value: (),
    };
    let table = RouteTable::build(vec![priced], Unlisted::Pass).expect("one route");
    // A plain reading of the forwarded path, as a simple origin would make it.
    let plain = path.as_str().to_ascii_lowercase();
    if plain == "/paid" || plain.starts_with("/paid/") {
        assert!(
            matches!(table.decide("GET", &path), Verdict::Priced(_)),
            "{raw:?}"
        );
    }
});

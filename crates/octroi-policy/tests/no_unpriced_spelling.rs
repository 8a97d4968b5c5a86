//! A priced path has no unpriced spelling.
//!
//! Two models that share no code with the crate: a client that disguises a path, and an origin
//! that reads the forwarded path in its own way.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

use octroi_policy::{
    Access, CanonicalPath, Methods, Pattern, Route, RouteTable, Unlisted, Verdict,
};
use octroi_types::Price;
use proptest::prelude::*;
use proptest::sample::select;

fn route(pattern: &str, price: u64) -> Route<()> {
    Route {
        pattern: pattern.parse().unwrap(),
        methods: Methods::ANY,
        access: Access::Priced(Price::from_nano_usd(price).unwrap()),
        value: (),
    }
}

/// A segment of a priced pattern beside a name that it matches.
fn segment() -> impl Strategy<Value = (&'static str, &'static str)> {
    select(vec![
        ("paid", "paid"),
        ("Report.pdf", "Report.pdf"),
        ("v1", "v1"),
        ("café", "café"),
        (":id", "42"),
        ("*", "x y"),
    ])
}

/// One step of a disguise; the numbers choose where.
#[derive(Debug, Clone)]
enum Disguise {
    FlipCase(usize),
    Encode(usize),
    EncodeAgain(usize),
    Dot(usize),
    Detour(usize),
    Slash(usize),
    Backslash(usize),
    Params(usize),
    TrailingSlash,
}

impl Disguise {
    /// Whether the step adds segments that are resolved again.
    fn moves(&self) -> bool {
        matches!(self, Self::Dot(_) | Self::Detour(_) | Self::Slash(_))
    }
}

fn disguise() -> impl Strategy<Value = Disguise> {
    use Disguise::*;
    prop_oneof![
        any::<usize>().prop_map(FlipCase),
        any::<usize>().prop_map(Encode),
        any::<usize>().prop_map(EncodeAgain),
        any::<usize>().prop_map(Dot),
        any::<usize>().prop_map(Detour),
        any::<usize>().prop_map(Slash),
        any::<usize>().prop_map(Backslash),
        any::<usize>().prop_map(Params),
        Just(TrailingSlash),
    ]
}

/// The start of the `n`th place where `wanted` stands, counted around.
fn nth(path: &str, wanted: char, n: usize) -> Option<usize> {
    let places: Vec<_> = path.match_indices(wanted).map(|(at, _)| at).collect();
    (!places.is_empty()).then(|| places[n % places.len()])
}

fn apply(step: &Disguise, path: &mut String) {
    let chars: Vec<(usize, char)> = path.char_indices().skip(1).collect();
    match *step {
        Disguise::FlipCase(_) | Disguise::Encode(_) if chars.is_empty() => {}
        Disguise::FlipCase(n) => {
            let (at, old) = chars[n % chars.len()];
            let flipped: String = if old.is_lowercase() {
                old.to_uppercase().collect()
            } else {
                old.to_lowercase().collect()
            };
            path.replace_range(at..at + old.len_utf8(), &flipped);
        }
        Disguise::Encode(n) => {
            let (at, old) = chars[n % chars.len()];
            let escaped: String = old
                .to_string()
                .bytes()
                .map(|byte| format!("%{byte:02x}"))
                .collect();
            path.replace_range(at..at + old.len_utf8(), &escaped);
        }
        Disguise::EncodeAgain(n) => {
            if let Some(at) = nth(path, '%', n) {
                path.insert_str(at + 1, "25");
            }
        }
        Disguise::Dot(n) => insert_at_slash(path, n, "/./"),
        Disguise::Detour(n) => insert_at_slash(path, n, "/free/../"),
        Disguise::Slash(n) => insert_at_slash(path, n, "//"),
        Disguise::Backslash(n) => {
            if let Some(at) = nth(path, '/', n).filter(|&at| at > 0) {
                path.replace_range(at..=at, "\\");
            }
        }
        Disguise::Params(n) => {
            if let Some(at) = nth(path, '/', n).filter(|&at| at > 0) {
                path.insert_str(at, ";v=1");
            } else {
                path.push_str(";x");
            }
        }
        Disguise::TrailingSlash => path.push('/'),
    }
}

fn insert_at_slash(path: &mut String, n: usize, text: &str) {
    if let Some(at) = nth(path, '/', n) {
        path.replace_range(at..=at, text);
    }
}

/// How an origin reads the path that is forwarded to it.
#[derive(Debug, Clone)]
struct Origin {
    decodes_before_split: usize,
    decodes_after_split: usize,
    backslash_is_slash: bool,
    drops_params: bool,
    ignores_case: bool,
}

impl Origin {
    fn names(&self, forwarded: &str) -> Vec<String> {
        let mut text = forwarded.as_bytes().to_vec();
        for _ in 0..self.decodes_before_split {
            text = naive_decode(&text);
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        for part in text.split(|&b| b == b'/' || (self.backslash_is_slash && b == b'\\')) {
            let mut name = part.to_vec();
            for _ in 0..self.decodes_after_split {
                name = naive_decode(&name);
            }
            if self.drops_params {
                let end = name.iter().position(|&b| b == b';').unwrap_or(name.len());
                name.truncate(end);
            }
            match name.as_slice() {
                b"" | b"." => {}
                b".." => drop(names.pop()),
                _ => names.push(name),
            }
        }
        let name = |name| {
            let name = String::from_utf8_lossy(name).into_owned();
            if self.ignores_case {
                name.to_lowercase()
            } else {
                name
            }
        };
        names.iter().map(|n| name(n)).collect()
    }

    /// The price of the most specific pattern that this origin's reading matches.
    fn price(&self, forwarded: &str, table: &[(String, u64)]) -> Option<u64> {
        let names = self.names(forwarded);
        let fold = |text: &str| {
            if self.ignores_case {
                text.to_lowercase()
            } else {
                text.into()
            }
        };
        let rank = |pattern: &str| -> Option<Vec<u8>> {
            let segments: Vec<_> = pattern[1..].split('/').filter(|s| !s.is_empty()).collect();
            let mut ranks = Vec::new();
            for (at, segment) in segments.iter().enumerate() {
                if *segment == "**" {
                    ranks.push(2);
                    return Some(ranks);
                }
                let name = names.get(at)?;
                if segment.starts_with(':') {
                    ranks.push(1);
                } else if fold(segment) == *name {
                    ranks.push(0);
                } else {
                    return None;
                }
            }
            (segments.len() == names.len()).then_some(ranks)
        };
        table
            .iter()
            .filter_map(|(pattern, price)| Some((rank(pattern)?, *price)))
            .min()
            .map(|(_, price)| price)
    }
}

fn naive_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits
            .filter(|two| first == b'%' && two.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    out
}

prop_compose! {
    fn origin()(
        decodes_before_split in 0..4_usize,
        decodes_after_split in 0..4_usize,
        backslash_is_slash: bool,
        drops_params: bool,
        ignores_case: bool,
    ) -> Origin {
        // An origin that never decodes cannot name anything that has to be encoded.
        let decodes_after_split = decodes_after_split.max(usize::from(decodes_before_split == 0));
        Origin {
            decodes_before_split, decodes_after_split, backslash_is_slash, drops_params, ignores_case,
        }
    }
}

/// A raw path made of everything that path bypasses were ever made of.
fn awkward_path() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a",
        "b",
        "A",
        "%61",
        "%2561",
        "c",
        "/",
        "/",
        "/",
        "//",
        "%2f",
        "%252F",
        "%25252f",
        "\\",
        "%5c",
        "%255C",
        ";",
        "%3b",
        "%253b",
        ".",
        "..",
        "%2e",
        "%252e",
        "é",
        "%C3%A9",
        "%25C3%25A9",
        "%",
        "%25",
        "25",
        "2f",
        " ",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn patterns() -> impl Strategy<Value = Vec<(String, u64)>> {
    let segment = || select(vec!["a", "b", "c", "é", ":x"]);
    let pattern = (
        proptest::collection::vec(segment(), 0..4),
        any::<bool>(),
        1..1000_u64,
    );
    let pattern = pattern.prop_map(|(segments, rest, price)| {
        let rest = if rest { "/**" } else { "" };
        (
            format!("/{}{rest}", segments.join("/")).replace("//", "/"),
            price,
        )
    });
    proptest::collection::vec(pattern, 1..6).prop_map(|mut patterns| {
        patterns.sort();
        patterns.dedup_by(|a, b| a.0 == b.0);
        patterns
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_disguised_path_is_priced_or_refused(
        segments in proptest::collection::vec(segment(), 1..5),
        rest: bool,
        steps in proptest::collection::vec(disguise(), 0..12),
    ) {
        let mut pattern: String = segments.iter().map(|(part, _)| format!("/{part}")).collect();
        let mut path: String = segments.iter().map(|(_, name)| format!("/{name}")).collect();
        if rest || pattern.ends_with('*') {
            pattern.push_str("/**");
            path.push_str("/deep/er");
        }
        let table = RouteTable::build(vec![route(&pattern, 1)], Unlisted::Pass).unwrap();
        // A detour made before its slash is encoded would lead to another path altogether.
        let (moves, spellings): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.moves());
        for step in spellings.into_iter().chain(moves) {
            apply(step, &mut path);
        }
        if let Ok(canonical) = CanonicalPath::parse(&path) {
            let verdict = table.decide("GET", &canonical);
            prop_assert!(matches!(verdict, Verdict::Priced(..)), "{pattern} {path} {verdict:?}");
        }
    }

    #[test]
    fn no_origin_reads_a_dearer_path_than_was_charged(
        patterns in patterns(),
        raw in awkward_path(),
        origin in origin(),
    ) {
        let rows = patterns.iter().map(|(pattern, price)| route(pattern, *price)).collect();
        let table = RouteTable::build(rows, Unlisted::Pass).unwrap();
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let charged = match table.decide("GET", &path) {
                Verdict::Priced(route) => route.price().unwrap().nano_usd(),
                _ => 0,
            };
            let worth = origin.price(path.as_str(), &patterns).unwrap_or(0);
            prop_assert!(charged >= worth, "{raw} → {path}: charged {charged}, worth {worth}");
        }
    }

    #[test]
    fn a_free_neighbour_does_not_open_a_priced_path(raw in awkward_path(), origin in origin()) {
        let mut free = route("/a/**", 1);
        free.access = Access::Free;
        let mut deny = route("/a/c/**", 1);
        deny.access = Access::Denied;
        let rows = vec![free, deny, route("/a/b/**", 2), route("/**", 1)];
        let table = RouteTable::build(rows, Unlisted::Deny).unwrap();
        let priced = [("/a/b/**".to_owned(), 2), ("/a/c/**".to_owned(), 3), ("/a/**".to_owned(), 0),
            ("/**".to_owned(), 1)];
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let charged = match table.decide("GET", &path) {
                Verdict::Denied(_) | Verdict::MethodNotAllowed(_) => 3,
                Verdict::Priced(route) => route.price().unwrap().nano_usd(),
                Verdict::Free(_) | Verdict::Passed => 0,
            };
            let worth = origin.price(path.as_str(), &priced).unwrap_or(0);
            prop_assert!(charged >= worth, "{raw} → {path}: charged {charged}, worth {worth}");
        }
    }

    #[test]
    fn the_forwarded_form_is_its_own_canonical_form(raw in prop_oneof![awkward_path(), "/\\PC{0,24}"]) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let text = path.as_str();
            let again = CanonicalPath::parse(text).unwrap();
            prop_assert_eq!(&again, &path);
            prop_assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
            prop_assert!(!text.contains(['\\', ' ', '?', '#']));
            prop_assert!(text.split('/').all(|name| name != "." && name != ".."));
        }
    }

    #[test]
    fn parsers_never_panic(raw in ".{0,64}") {
        let _ = CanonicalPath::parse(&raw);
        let _ = raw.parse::<Pattern>();
        let _ = octroi_policy::Host::parse(&raw);
        let _ = octroi_policy::Target::parse(&raw);
    }
}

//! Time per request of parsing a target and deciding on it: `cargo bench -p octroi-policy`.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::hint::black_box;
use std::time::Instant;

use octroi_policy::{Access, Methods, Route, RouteTable, Target, Unlisted};

const ROUTES: u64 = 1_000;
const ROUNDS: u32 = 100_000;

fn main() {
    let route = |n: u64| Route {
        pattern: format!("/api/v1/collection-{n}/:id/*").parse().unwrap(),
        methods: Methods::ANY,
        access: Access::Priced(octroi_types::Price::from_nano_usd(n + 1).unwrap()),
        value: n,
    };
    let table = RouteTable::build((0..ROUTES).map(route).collect(), Unlisted::Pass).unwrap();
    let worst = "/a%25252Fb%25255Cc%25253Bd".repeat(310);
    for target in [
        "/api/v1/collection-500/4711/download?format=csv",
        "/API/V1/Collection-500/4711/download",
        "/static/app.js",
        "/api/v1/collection-500/a%20b/c",
        "/api/v1/collection-500/a%2Fb/c;v=1",
        "/api/v1/collection-500/a%25252Fb%25255Cc%25253Bd",
        &worst,
    ] {
        let rounds = if target.len() > 1000 {
            ROUNDS / 1000
        } else {
            ROUNDS
        };
        let started = Instant::now();
        for _ in 0..rounds {
            let target = Target::parse(black_box(target)).unwrap();
            black_box(table.decide("GET", &target.path));
        }
        let each_ns = started.elapsed().as_nanos() / u128::from(rounds);
        println!("{each_ns:>9} ns  {target:.60}");
    }
}

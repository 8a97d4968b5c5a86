use super::*;

fn row(line: &'static str) -> Route<&'static str> {
    let mut words = line.split(' ');
    let methods = words.next().unwrap();
    let pattern = words.next().unwrap().parse().unwrap();
    let access = match words.next().unwrap() {
        "free" => Access::Free,
        "deny" => Access::Denied,
        price => Access::Priced(price.parse().unwrap()),
    };
    let methods = match methods {
        "ANY" => Methods::ANY,
        listed => Methods::listed(listed.split(',')).unwrap(),
    };
    Route {
        pattern,
        methods,
        access,
        value: line,
    }
}

fn table(unlisted: Unlisted, rows: &[&'static str]) -> RouteTable<&'static str> {
    RouteTable::build(rows.iter().map(|line| row(line)).collect(), unlisted).unwrap()
}

fn decide(table: &RouteTable<&'static str>, request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    match table.decide(method, &CanonicalPath::parse(path).unwrap()) {
        Verdict::Priced(route) | Verdict::Free(route) | Verdict::Denied(Some(route)) => {
            route.value.to_owned()
        }
        Verdict::MethodNotAllowed(route) => format!("405 {}", route.value),
        Verdict::Passed => "passed".to_owned(),
        Verdict::Denied(None) => "denied".to_owned(),
    }
}

#[test]
fn the_most_specific_pattern_applies() {
    let table = table(
        Unlisted::Pass,
        &[
            "ANY /** 1",
            "ANY /a/* 2",
            "ANY /a/:id 3",
            "ANY /a/b 4",
            "ANY /a/*/c 5",
            "ANY /a/b/c/d 6",
            "ANY /:x/b/c 7",
        ],
    );
    for (request, route) in [
        ("GET /", "ANY /** 1"),
        ("GET /z/z", "ANY /** 1"),
        ("GET /a", "ANY /a/* 2"),
        ("GET /a/", "ANY /a/* 2"),
        ("GET /a/x/y/z", "ANY /a/* 2"),
        ("GET /a/x", "ANY /a/:id 3"),
        ("GET /a/b", "ANY /a/b 4"),
        ("GET /a/b/", "ANY /a/b 4"),
        ("GET /a/b/c", "ANY /a/*/c 5"),
        ("GET /a/b/c/d", "ANY /a/b/c/d 6"),
        ("GET /a/b/c/x", "ANY /a/* 2"),
        ("GET /z/b/c", "ANY /:x/b/c 7"),
    ] {
        assert_eq!(decide(&table, request), route, "{request}");
    }
}

#[test]
fn pricing_one_method_closes_the_others() {
    let table = table(
        Unlisted::Pass,
        &[
            "POST /generate 1",
            "GET /items 1",
            "ANY /items free",
            "HEAD /both free",
            "GET /both 1",
            "DELETE /log deny",
            "POST /v1/run 1",
            "GET /v1/** free",
        ],
    );
    for (request, verdict) in [
        ("POST /generate", "POST /generate 1"),
        ("post /generate", "POST /generate 1"),
        ("GET /generate", "405 POST /generate 1"),
        ("FOO /generate", "405 POST /generate 1"),
        ("GET /items", "GET /items 1"),
        ("HEAD /items", "GET /items 1"),
        ("PUT /items", "ANY /items free"),
        ("HEAD /both", "HEAD /both free"),
        ("GET /both", "GET /both 1"),
        ("DELETE /log", "DELETE /log deny"),
        ("GET /log", "passed"),
        ("GET /v1/run", "GET /v1/** free"),
        ("PUT /v1/run", "405 POST /v1/run 1"),
    ] {
        assert_eq!(decide(&table, request), verdict, "{request}");
    }
}

#[test]
fn the_strictest_reading_holds() {
    let table = table(
        Unlisted::Pass,
        &[
            "ANY /cheap/:x 0.01",
            "ANY /dear/** 10",
            "ANY /cheap/dear 10",
            "ANY /open/:x free",
            "ANY /open/secret/x deny",
            "ANY /open/x/y 5",
        ],
    );
    for (request, verdict) in [
        ("GET /cheap/x", "ANY /cheap/:x 0.01"),
        ("GET /cheap/x%2Fy", "ANY /cheap/:x 0.01"),
        ("GET /cheap/dear;v=1", "ANY /cheap/dear 10"),
        ("GET /cheap/%2564ear", "ANY /cheap/dear 10"),
        ("GET /;/dear/x", "ANY /dear/** 10"),
        ("GET /open/x%2Fy", "ANY /open/x/y 5"),
        ("GET /open/x%5Cy", "ANY /open/x/y 5"),
        ("GET /open%252Fsecret%252Fx", "ANY /open/secret/x deny"),
        ("GET /open/x", "ANY /open/:x free"),
        ("GET /dear%2F", "ANY /dear/** 10"),
        ("GET /DEAR/../dEaR//X", "ANY /dear/** 10"),
    ] {
        assert_eq!(decide(&table, request), verdict, "{request}");
    }
}

#[test]
fn letter_case_never_makes_it_cheaper() {
    let rows = [
        "ANY /** 1",
        "ANY /Public/* free",
        "ANY /caf%C3%A9 2",
        "ANY /low 0.5",
    ];
    let table = table(Unlisted::Pass, &rows);
    for (request, verdict) in [
        ("GET /Public/x", "ANY /Public/* free"),
        ("GET /Public/X/", "ANY /Public/* free"),
        ("GET /public/x", "ANY /** 1"),
        ("GET /Public;x/y", "ANY /** 1"),
        ("GET /CAF%C3%89", "ANY /caf%C3%A9 2"),
        ("GET /low", "ANY /low 0.5"),
        ("GET /LOW", "ANY /** 1"),
    ] {
        assert_eq!(decide(&table, request), verdict, "{request}");
    }
}

#[test]
fn a_denying_table_wants_every_reading_listed() {
    let table = table(Unlisted::Deny, &["ANY /a/:x 1", "ANY /b/* free"]);
    for (request, verdict) in [
        ("GET /a/x", "ANY /a/:x 1"),
        ("GET /a/X", "ANY /a/:x 1"),
        ("GET /A/x", "denied"),
        ("GET /a/x%2Fy", "denied"),
        ("GET /b/x%2Fy", "ANY /b/* free"),
        ("GET /", "denied"),
    ] {
        assert_eq!(decide(&table, request), verdict, "{request}");
    }
}

#[test]
fn routes_that_no_request_tells_apart_are_reported() {
    let rows = [
        "GET /a/:x 1",
        "ANY /a/:x 1",
        "POST,GET /A/*/ 1",
        "GET /A/:y free",
        "ANY /a/:z/ 2",
    ];
    let routes = rows.iter().map(|line| row(line)).collect();
    assert_eq!(
        RouteTable::build(routes, Unlisted::Pass).unwrap_err(),
        [
            DuplicateRoute {
                first: 0,
                second: 3
            },
            DuplicateRoute {
                first: 1,
                second: 4
            }
        ]
    );
}

//! `[[service]]` and `[[site]]`.

use crate::schema::Kind::{Choice, Flag, Integer, List, Text};
use crate::schema::{Key, Section, Shape, default, optional, required};

pub(super) const SERVICE: Section = Section {
    name: "service",
    shape: Shape::List,
    doc: "An API whose paywalls are called under `/api/x402/pay/{service}/{slug}`.",
    keys: &[
        &[
            required(
                "name",
                Text("a slug"),
                "Name of the service. Its id derives from it, so keep it.",
            ),
            optional(
                "description",
                Text("a text"),
                "none",
                "What it is, for people.",
            ),
        ],
        UPSTREAM,
    ],
    inner: &[AUTH, PAYWALL],
};

const PAYWALL: Section = Section {
    name: "paywall",
    shape: Shape::List,
    doc: "Something that is sold.",
    keys: &[
        &[
            required(
                "slug",
                Text("a slug"),
                "Name in the address. The paywall's id derives from it, so keep it.",
            ),
            required(
                "price",
                Text("a price"),
                "Price of one call in US dollars, like `\"$0.01\"`.",
            ),
            default(
                "methods",
                List("a method"),
                "[\"GET\", \"POST\"]",
                "Methods that are sold; others are refused.",
            ),
            default("path", Text("a path"), "\"/\"", "Path at the origin."),
            default(
                "subpaths",
                Flag,
                "false",
                "Whether what follows the slug in the address is added to `path`.",
            ),
        ],
        PAYMENT,
    ],
    inner: &[],
};

pub(super) const SITE: Section = Section {
    name: "site",
    shape: Shape::List,
    doc: "Hosts that belong to a site behind the gate. Every path is the site's, except `/.octroi/`.",
    keys: &[
        &[
            required("hosts", List("a host name"), "Host names, without ports."),
            optional(
                "name",
                Text("a slug"),
                "the first host",
                "Name of the site. Its id derives from it, so keep it.",
            ),
            optional(
                "public_url",
                Text("a URL of scheme and host"),
                "the first host, with scheme and port of `server.public_url`",
                "Address that visitors use.",
            ),
            default(
                "default",
                Choice(&["deny", "pass"]),
                "\"deny\"",
                "What happens to paths that no route lists.",
            ),
            default(
                "preserve_host",
                Flag,
                "true",
                "Whether the origin sees the visitor's `Host`, or its own name.",
            ),
        ],
        UPSTREAM,
    ],
    inner: &[AUTH, ROUTE],
};

const ROUTE: Section = Section {
    name: "route",
    shape: Shape::List,
    doc: "What some paths of a site cost: exactly one of `price`, `free` and `deny`. The most \
          specific pattern wins (text before `:name` before the rest), and the strictest of all \
          ways in which an origin could read a path. Pricing some methods closes the others \
          unless another route lists them.",
    keys: &[
        &[
            required(
                "pattern",
                Text("a pattern"),
                "Paths: text, `*` or `:name` for one segment, `/*` or `/**` at the end for the rest.",
            ),
            default(
                "methods",
                List("a method"),
                "[]",
                "Methods; none means all. `GET` covers `HEAD`.",
            ),
            optional(
                "price",
                Text("a price"),
                "",
                "Price of one request in US dollars, like `\"$0.01\"`.",
            ),
            default("free", Flag, "false", "Passes unpaid."),
            default("deny", Flag, "false", "Is refused."),
            optional(
                "slug",
                Text("a slug"),
                "made from methods and pattern",
                "Name of the route. Its id derives from it.",
            ),
        ],
        PAYMENT,
    ],
    inner: &[],
};

const AUTH: Section = Section {
    name: "auth",
    shape: Shape::Table,
    doc: "What the gate shows the origin: a bearer token, a header, or a query parameter.",
    keys: &[&[
        optional(
            "bearer_file",
            Text("a file name"),
            "",
            "File with a token, sent as `Authorization: Bearer`.",
        ),
        optional(
            "header",
            Text("a header name"),
            "",
            "Header that is sent with the text of `value_file`.",
        ),
        optional(
            "query",
            Text("a parameter name"),
            "",
            "Query parameter that is sent with the text of `value_file`.",
        ),
        optional(
            "value_file",
            Text("a file name"),
            "",
            "File with the value of `header` or `query`.",
        ),
    ]],
    inner: &[],
};

/// What a service and a site have in common.
const UPSTREAM: &[Key] = &[
    required(
        "origin",
        Text("an http or https URL"),
        "Where requests are forwarded to; a path in it is put before theirs.",
    ),
    optional(
        "networks",
        List("the name of a network"),
        "all that are configured",
        "Networks to pay on; all `test` or all `live`.",
    ),
    optional(
        "pay_to",
        Text("an EVM address"),
        "that of the tenant",
        "Wallet that is paid.",
    ),
    default(
        "timeout_ms",
        Integer {
            min: 100,
            max: 3_600_000,
        },
        "60000",
        "How long the origin may take to its response head.",
    ),
];

/// What a paywall and a site's route have in common.
const PAYMENT: &[Key] = &[
    optional(
        "description",
        Text("a text"),
        "none",
        "What is sold, for people.",
    ),
    optional(
        "mime_type",
        Text("a media type"),
        "none",
        "Media type of the answer.",
    ),
    optional(
        "networks",
        List("the name of a network"),
        "those of the service or site",
        "Networks to pay on.",
    ),
    optional(
        "pay_to",
        Text("an EVM address"),
        "that of the service or site",
        "Wallet that is paid.",
    ),
    default(
        "settle",
        Choice(&["response_head", "before_origin"]),
        "\"response_head\"",
        "When the payment is settled: once the origin has answered well, or before it is called.",
    ),
    optional(
        "settle_level",
        Choice(&["included", "safe", "final"]),
        "the strictest of its networks, whose `safe_from` counts",
        "How sure the settlement must be before the answer goes out.",
    ),
    default(
        "max_timeout_seconds",
        Integer {
            min: 30,
            max: 86_400,
        },
        "300",
        "How long a signed payment stays valid.",
    ),
    default(
        "idempotent",
        Flag,
        "false",
        "Whether the origin may be called again for a request that was paid and not delivered.",
    ),
    default(
        "bind",
        Choice(&["full", "head"]),
        "\"full\"",
        "What a payment is bound to: method, path, query and body, or the same without the body.",
    ),
    default(
        "break_charge",
        Choice(&["full", "credit"]),
        "\"full\"",
        "What an answer costs that breaks off after its first byte: everything, or nothing (the payer gets a credit).",
    ),
];

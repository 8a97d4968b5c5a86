//! As much of JSON Schema as the document uses, read strictly: what a schema does not mention must not
//! be there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What is wrong with a value, and where.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    at(document, schema, value, "$")
}

/// Follows a `$ref` within the document.
pub(super) fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        None => value,
        Some(path) => {
            let pointer = path.strip_prefix('#').unwrap();
            let target = document.pointer(pointer);
            resolve(
                document,
                target.unwrap_or_else(|| panic!("{path} leads nowhere")),
            )
        }
    }
}

fn at(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    let wrong = |what: &str| Err(format!("{place}: {what}: {value}"));
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fits = |schema: &&Value| at(document, schema, value, place).is_ok();
        return match alternatives.iter().filter(fits).count() {
            1 => Ok(()),
            _ => wrong("not exactly one alternative"),
        };
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return wrong("not the constant");
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|all| !all.contains(value))
    {
        return wrong("not listed");
    }
    if !has_type(&schema["type"], value) {
        return wrong("of another type");
    }
    if let Some(encoded) = value
        .as_str()
        .filter(|_| schema["contentEncoding"] == "base64")
    {
        let json = STANDARD
            .decode(encoded)
            .map_err(|error| format!("{place}: {error}"))?;
        let inner = serde_json::from_slice(&json).map_err(|error| format!("{place}: {error}"))?;
        return at(document, &schema["contentSchema"], &inner, place);
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            at(
                document,
                &schema["items"],
                item,
                &format!("{place}[{index}]"),
            )?;
        }
    }
    let Some(fields) = value.as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return wrong(&format!("{name} is missing"));
        }
    }
    for (name, field) in fields {
        let declared = schema["properties"].get(name);
        match declared.or_else(|| schema.get("additionalProperties")) {
            None => return wrong(&format!("{name} is not declared")),
            Some(Value::Bool(true)) => {}
            Some(schema) => at(document, schema, field, &format!("{place}.{name}"))?,
        }
    }
    Ok(())
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    match wanted {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

#[test]
fn what_is_not_declared_does_not_fit() {
    let document = serde_json::json!({"components": {"schemas": {"A": {
        "type": "object",
        "required": ["x"],
        "properties": {"x": {"type": "integer"}, "y": {"type": "array", "items": {"enum": ["b"]}}},
    }}}});
    let schema = serde_json::json!({"$ref": "#/components/schemas/A"});
    let fits = |json: &str| check(&document, &schema, &serde_json::from_str(json).unwrap());
    assert_eq!(fits(r#"{"x": 1, "y": ["b"]}"#), Ok(()));
    for json in [
        r"{}",
        r#"{"x": "1"}"#,
        r#"{"x": 1, "z": 1}"#,
        r#"{"x": 1, "y": ["c"]}"#,
        "[]",
    ] {
        assert!(fits(json).is_err(), "{json}");
    }
}

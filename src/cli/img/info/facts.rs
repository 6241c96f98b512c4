//! `info --output=json`: members in the real tool's order.

use serde_json::{Map, Value, json};

use crate::job::info::Facts;
use crate::node::SnapshotInfo;

/// One image.
pub(super) fn image(facts: &Facts) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    let children = facts
        .children
        .iter()
        .map(|(name, child)| json!({ "name": name, "info": image(child) }))
        .collect();
    put("children", children);
    if let Some(format) = facts.backing.as_ref().and_then(|it| it.format.as_ref()) {
        put("backing-filename-format", json!(format));
    }
    if !facts.snapshots.is_empty() {
        put("snapshots", facts.snapshots.iter().map(snapshot).collect());
    }
    put("virtual-size", json!(facts.virtual_size));
    put("filename", json!(facts.filename));
    if let Some(size) = facts.image.cluster_size {
        put("cluster-size", json!(size));
    }
    put("format", json!(facts.format));
    if let Some(size) = facts.actual_size {
        put("actual-size", json!(size));
    }
    if let Some((kind, data)) = &facts.image.specific {
        put("format-specific", json!({ "type": kind, "data": data }));
    }
    if let Some(backing) = &facts.backing {
        put("full-backing-filename", json!(backing.full_name));
    }
    if facts.image.encrypted {
        put("encrypted", json!(true));
    }
    if let Some(backing) = &facts.backing {
        put("backing-filename", json!(backing.name));
    }
    if facts.has_image_facts {
        put("dirty-flag", json!(facts.image.dirty));
    }
    Value::Object(object)
}

fn snapshot(snapshot: &SnapshotInfo) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    if let Some(icount) = snapshot.icount {
        put("icount", json!(icount.cast_signed()));
    }
    let clock = snapshot.vm_clock_nanoseconds;
    put("vm-clock-nsec", json!(clock % 1_000_000_000));
    put("name", json!(snapshot.name));
    put("date-sec", json!(snapshot.date_seconds));
    put("date-nsec", json!(snapshot.date_nanoseconds));
    put("vm-clock-sec", json!(clock / 1_000_000_000));
    put("id", json!(snapshot.id));
    put("vm-state-size", json!(snapshot.vm_state_size));
    Value::Object(object)
}

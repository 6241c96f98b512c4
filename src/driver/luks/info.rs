//! What `info` shows of a header (luks1 §9).

use serde_json::{Map, Value, json};

use crate::crypto::IvAlgorithm;
use crate::format::luks1::{Header, KeySlot};

/// The fields in the order in which the real tool prints them.
pub fn info_value(header: &Header) -> Map<String, Value> {
    let suite = header.suite();
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("ivgen-alg", json!(suite.iv.name()));
    put("detached-header", json!(header.payload_sector == 0));
    put("hash-alg", json!(header.hash().name()));
    put("cipher-alg", json!(suite.algorithm.name()));
    put("uuid", json!(header.uuid_text()));
    if let (IvAlgorithm::Essiv, Some(hash)) = (suite.iv, suite.iv_hash) {
        put("ivgen-hash-alg", json!(hash.name()));
    }
    put("cipher-mode", json!(suite.mode.name()));
    put("slots", header.slots.iter().map(slot_value).collect());
    put("payload-offset", json!(header.payload_offset()));
    put("master-key-iters", json!(header.digest_iterations));
    map
}

fn slot_value(slot: &KeySlot) -> Value {
    if slot.active() {
        json!({
            "active": true,
            "iters": slot.iterations,
            "key-offset": slot.material_offset(),
            "stripes": slot.stripes,
        })
    } else {
        json!({ "active": false, "key-offset": slot.material_offset() })
    }
}

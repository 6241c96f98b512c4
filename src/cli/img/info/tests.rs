use serde_json::json;

use super::{facts, text};
use crate::job::info::Facts;
use crate::node::ImageInfo;

fn file() -> Facts {
    Facts {
        filename: "a.img".to_owned(),
        format: "file",
        virtual_size: 2048,
        actual_size: Some(4096),
        image: ImageInfo {
            specific: Some(("file", serde_json::Map::new())),
            ..ImageInfo::default()
        },
        has_image_facts: true,
        backing: None,
        snapshots: Vec::new(),
        children: Vec::new(),
    }
}

#[test]
fn nodes_at_the_bottom_are_files() {
    let slots = json!({ "two-words": [{ "active": true }, "x"] });
    let facts = Facts {
        format: "luks",
        image: ImageInfo {
            encrypted: true,
            specific: slots.as_object().cloned().map(|data| ("luks", data)),
            ..ImageInfo::default()
        },
        children: vec![("file".to_owned(), file())],
        ..file()
    };
    assert_eq!(
        text::image(&facts),
        "image: a.img\nfile format: luks\nvirtual size: 2 KiB (2048 bytes)\ndisk size: 4 KiB\n\
         encrypted: yes\nFormat specific information:\n    two words:\n        [0]:\n            \
         active: true\n        [1]: x\nChild node '/file':\n    filename: a.img\n    \
         protocol type: file\n    file length: 2 KiB (2048 bytes)\n    disk size: 4 KiB\n"
    );
}

#[test]
fn members_come_in_the_real_tools_order() {
    let value = facts::image(&file());
    let names: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(
        names,
        [
            "children",
            "virtual-size",
            "filename",
            "format",
            "actual-size",
            "format-specific",
            "dirty-flag"
        ]
    );
}

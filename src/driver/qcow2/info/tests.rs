use serde_json::Value;

use crate::driver::qcow2::Qcow2OpenOptions;
use crate::driver::qcow2::workshop::Workshop;
use crate::node::Node;

#[test]
fn every_section_is_the_real_tools_in_its_order() {
    let Some(shop) = Workshop::new() else { return };
    let secret = "--object secret,id=s,data=pw";
    for (options, patch) in [
        ("lazy_refcounts=on", None),
        ("compat=0.10", None),
        (
            "compression_type=zstd,refcount_bits=1,cluster_size=4k",
            None,
        ),
        ("encrypt.format=aes,encrypt.key-secret=s", None),
        ("compat=0.10,encrypt.format=aes,encrypt.key-secret=s", None),
        (
            "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,encrypt.cipher-mode=cbc,\
             encrypt.ivgen-alg=essiv",
            None,
        ),
        ("cluster_size=64k", Some(3)),
    ] {
        shop.img_line(&format!(
            "create -q -f qcow2 {secret} -o {options} x.qcow2 1M"
        ));
        if let Some(bits) = patch {
            shop.patch("x.qcow2", &[(79, &[bits])]);
        }
        let real = shop.img(&["info", "--output=json", "x.qcow2"]);
        let real: Value = serde_json::from_str(&real).unwrap();
        let no_io = Qcow2OpenOptions {
            no_io: true,
            ..Qcow2OpenOptions::default()
        };
        let ours = shop.try_open("x.qcow2", &no_io).unwrap().info().unwrap();
        let (kind, data) = ours.specific.unwrap();
        assert_eq!(real["format-specific"]["type"], kind);
        // As text, so that the order counts.
        assert_eq!(
            Value::Object(data).to_string(),
            real["format-specific"]["data"].to_string(),
            "{options}"
        );
        assert_eq!(Value::from(ours.cluster_size), real["cluster-size"]);
        assert_eq!(Value::from(ours.dirty), real["dirty-flag"]);
        assert_eq!(ours.encrypted, real.get("encrypted").is_some());
    }
}

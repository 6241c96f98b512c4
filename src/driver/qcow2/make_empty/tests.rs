use crate::driver::qcow2::workshop::{Workshop, assert_same_bytes};
use crate::node::Node;

#[test]
fn what_a_commit_leaves_is_the_real_tools_bytes() {
    let Some(shop) = Workshop::new() else { return };
    for (options, snapshot) in [
        ("cluster_size=64k", false),
        ("cluster_size=4k", false),
        ("cluster_size=512,refcount_bits=64", false),
        ("lazy_refcounts=on", false),
        ("compat=0.10", false),
        ("compat=0.10,cluster_size=4k", false),
        ("cluster_size=64k", true),
        ("cluster_size=4k", true),
    ] {
        shop.img_line("create -q -f qcow2 base 20M");
        for name in ["real", "ours"] {
            shop.img_line(&format!(
                "create -q -f qcow2 -b base -F qcow2 -o {options} {name} 20M"
            ));
            shop.io(
                name,
                &["write -P 1 0 200k", "write -P 2 19M 64k", "write -z 5M 64k"],
            );
        }
        if snapshot {
            shop.img_line("snapshot -c a real");
            shop.copy("real", "ours");
        }
        shop.img_line("commit -q real");
        let image = shop.open_writable("ours");
        image.make_empty().unwrap();
        image.close().unwrap();
        let what = format!("{options}, snapshot: {snapshot}");
        assert_same_bytes(&shop.bytes("ours"), &shop.bytes("real"), &what);
        shop.img_line("check -q ours");
    }
}

#[test]
fn an_emptied_image_can_be_written_again() {
    let Some(shop) = Workshop::new() else { return };
    shop.img_line("create -q -f qcow2 -o cluster_size=512,refcount_bits=64 x 5M");
    shop.io("x", &["write -P 1 0 5M"]);
    let image = shop.open_writable("x");
    image.make_empty().unwrap();
    let mut buffer = vec![1; 100_000];
    let at = crate::base::GuestOffset::new(1_000_000);
    image.read_at(at, &mut buffer).unwrap();
    assert!(buffer.iter().all(|&byte| byte == 0));
    buffer.fill(7);
    image.write_at(at, &buffer).unwrap();
    image.close().unwrap();
    shop.img_line("check -q x");
    assert!(!shop.io("x", &["read -P 7 1000000 100000"]).contains("fail"));
}

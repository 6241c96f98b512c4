use super::*;

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn written(output: &Output<Vec<u8>>) -> usize {
    output.sink.len()
}

#[test]
fn nothing_is_written_before_the_buffer_is_full() {
    let mut output = Output::new(Vec::new(), false);
    output.print(&"a".repeat(4000));
    output.print(&"b".repeat(96));
    assert_eq!(written(&output), 0);
    output.line("c");
    assert_eq!(written(&output), 4096);
    output.print(&"d".repeat(9000));
    // Two bytes of "c\n", 4094 that fill the buffer, one block past it.
    assert_eq!(written(&output), 4096 * 3);
    output.flush();
    assert_eq!(written(&output), 4096 + 2 + 9000);
}

#[test]
fn a_terminal_gets_each_line() {
    let mut output = Output::new(Vec::new(), true);
    output.print("a");
    assert_eq!(written(&output), 0);
    output.print("\n");
    assert_eq!(written(&output), 2);
}

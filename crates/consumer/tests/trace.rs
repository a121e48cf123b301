//! What the trace layer writes. Alone in its process: whether a log line is wanted is remembered for all threads, so a
//! test beside it, which listens to nothing, could have it forgotten.

use antiphon_consumer::layers::Trace;
use antiphon_consumer::{Context, Handler, HandlerError, Layer, handler_fn};
use queue::{Message, Subscription};
use std::sync::{Arc, Mutex};

/// What a subscriber wrote, to be read back.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn trace_says_whose_message_failed_and_why() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let handler = Trace.layer(handler_fn(|_: Message, context: Context| async move {
        if context.receive_count == 3 { Err(HandlerError::retry("not yet")) } else { Ok(()) }
    }));
    let context = Context::new("topic/service/site".parse::<Subscription>().unwrap());
    handler.handle(&Message::default(), &context.clone().with_receive_count(3)).await.unwrap_err();
    handler.handle(&Message::default(), &context).await.unwrap();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "success is not worth a line: {text}");
    for part in ["WARN", "handle{subscription=topic/service/site receive_count=3}", "not yet"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

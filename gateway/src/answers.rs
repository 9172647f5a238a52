//! Answers that are not sent yet, so that clients who take none cost a bounded amount of memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::shares::{Share, Shares};

/// What is handed on at once, in bytes. An answer no larger than this counts as nothing: it is no more than what a
/// connection takes anyway.
const PIECE: usize = 16 * 1024;

/// What it takes to compress an answer, in bytes.
const COMPRESSING: usize = 256 * 1024;

/// Has the answer count for whom it is, until it is sent.
///
/// # Errors
/// When there is no room for it.
pub(crate) fn hold(
    response: Response,
    who: impl FnOnce() -> String,
    room: &Shares,
) -> Result<Response, NoRoom> {
    let size = response.body().size_hint();
    let bytes = match size.exact() {
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        // Streams of events have a bound of their own.
        None if is_event_stream(&response) => return Ok(response),
        None => COMPRESSING,
    };
    if bytes <= PIECE {
        return Ok(response);
    }
    let share = room.take(Some(who()), bytes).ok_or(NoRoom)?;
    Ok(response.map(|body| Body::new(HeldBody { body, rest: Bytes::new(), _share: share })))
}

/// There are too many answers that nobody takes.
#[derive(Debug)]
pub(crate) struct NoRoom;

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A body that is handed on piece by piece: what is handed on is held by the connection, without being counted.
struct HeldBody {
    body: Body,
    /// Of the frame that was last read.
    rest: Bytes,
    _share: Share,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let of_body = self.body.size_hint();
        let mut size = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            size.set_upper(upper + rest);
        }
        size.set_lower(of_body.lower() + rest);
        size
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn answer(bytes: usize) -> Response {
        Response::new(Body::from(vec![7; bytes]))
    }

    #[tokio::test]
    async fn what_one_client_does_not_take_keeps_others_from_nothing() {
        let room = Shares::new(400_000, 100_000);
        let hold = |who: &str, bytes| hold(answer(bytes), || who.to_owned(), &room);
        let held = hold("slow", 90_000).expect("room");
        assert!(hold("slow", 20_000).is_err());
        assert!(hold("slow", PIECE).is_ok(), "a small one counts as nothing");
        assert!(hold("other", 90_000).is_ok());
        drop(held);
        assert!(hold("slow", 90_000).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_handed_on_whole_in_pieces_with_its_length() {
        let room = Shares::new(400_000, 100_000);
        let mut response = hold(answer(50_000), String::new, &room).expect("room");
        assert_eq!(response.body().size_hint().exact(), Some(50_000));
        let first = std::future::poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await;
        let first = first.expect("a frame").expect("no error").into_data().expect("data");
        assert_eq!(first.len(), PIECE);
        assert_eq!(response.body().size_hint().exact(), Some(50_000 - PIECE as u64));
        let rest = to_bytes(response.into_body(), 100_000).await.expect("the rest");
        assert_eq!(rest.len(), 50_000 - PIECE);
    }
}

//! How HTTP is spoken.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

/// The most header fields of a request that are read at all. Beyond it, and beyond [`HEAD_BYTES`], the answer is a bare
/// 431; fewer than these are refused with a problem that says so (`request_limits.rs`).
const HEADER_FIELDS: usize = 128;

/// The largest head of a request that is read at all, in bytes. HTTP/1 also reads bodies in pieces of this size.
const HEAD_BYTES: usize = 64 * 1024;

/// The largest list of header fields of HTTP/2, in bytes as RFC 9113 counts them.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

/// The most requests at a time of one connection of HTTP/2.
const STREAMS: u32 = 128;

/// How many streams of HTTP/2 a client may open and take back before they are looked at, and how many it may spoil,
/// before its connection is ended: the remedy for "rapid reset" (CVE-2023-44487) and its kin.
const RESET_STREAMS: usize = 32;

/// The most of an answer that waits for one stream of HTTP/2 to be sent, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// How much of a body, and of all bodies of a connection, a client of HTTP/2 may send before it is read, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How often a client of HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// HTTP/1.1 and HTTP/2, told apart by how a client begins.
pub(super) fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // The time of a head is watched beside (`activity.rs`): this one would also end idle connections.
        .header_read_timeout(None)
        .max_headers(HEADER_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .timer(TokioTimer::new());
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(RESET_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .timer(TokioTimer::new());
    builder
}

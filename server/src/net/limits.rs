//! What one client, and all of them, may cost the socket.
//!
//! The numbers are those of the one table, [`crate::limits`].

use std::time::Duration;

use crate::limits;

/// The limits of the listener. [`Limits::default`] is what `annals serve` uses; tests shorten
/// the times.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections, those in the TLS handshake too. More wait in the backlog of the system.
    pub connections_max: usize,
    /// Time for the TLS handshake.
    pub handshake_time_max: Duration,
    /// Time to send the head of an HTTP/1.1 request, and so the time a connection may lie idle.
    pub header_time_max: Duration,
    /// Time an HTTP/2 connection may lie idle after a request. Its first request has as long as
    /// a head of HTTP/1.1.
    pub idle_time_max: Duration,
    /// Size of the head of a request.
    pub header_bytes_max: u32,
    /// Header fields of an HTTP/1.1 request.
    pub header_fields_max: usize,
    /// Requests at once on an HTTP/2 connection. Clients put all their watches on one.
    pub streams_max: u32,
    /// Requests an HTTP/2 client may cancel before they were looked at, against rapid reset.
    pub early_resets_max: usize,
    /// Requests we had to reset because they broke the protocol, for the life of a connection.
    pub error_resets_max: usize,
    /// Bytes kept for a client that reads slowly, for each request.
    pub send_buffer_bytes_max: usize,
    /// Time a client may take to accept any byte at all when there is something to send.
    pub write_stall_max: Duration,
    /// Silence after which an HTTP/2 client is asked whether it is there.
    pub ping_interval: Duration,
    /// Time for it to answer.
    pub ping_time_max: Duration,
    /// Time for open requests to end when the server stops.
    pub drain_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
        Self {
            connections_max: limits::CONNECTIONS,
            handshake_time_max: seconds(limits::HANDSHAKE_SECONDS),
            header_time_max: seconds(limits::HEADER_READ_SECONDS),
            idle_time_max: seconds(limits::IDLE_SECONDS),
            header_bytes_max: limits::HEADER_BYTES as u32,
            header_fields_max: limits::HEADER_FIELDS,
            streams_max: limits::STREAMS as u32,
            early_resets_max: limits::EARLY_RESETS,
            error_resets_max: limits::ERROR_RESETS,
            send_buffer_bytes_max: limits::SEND_BUFFER_BYTES,
            write_stall_max: seconds(limits::WRITE_STALL_SECONDS),
            ping_interval: seconds(limits::PING_SECONDS),
            ping_time_max: seconds(limits::PING_ANSWER_SECONDS),
            drain_time_max: seconds(limits::DRAIN_SECONDS),
        }
    }
}

//! What a scorer and its child processes say to each other: JSON, its length before it.

use std::borrow::Cow;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::engine::Outcome;
use crate::scoring::Limits;

/// The first argument of a scorer's own program that is to be a child; the second is [`MIB`] of memory.
pub(crate) const CHILD: &str = "child";

/// Bytes of a mebibyte, in which the memory of a child is counted.
pub(crate) const MIB: u64 = 1024 * 1024;

/// The longest task, in bytes. What a gateway accepts is shorter by far, also with every character escaped twice.
pub(crate) const LONGEST_TASK: usize = 64 * 1024 * 1024;

/// The longest answer, in bytes. A report is shorter by far, and a child may be out of its mind.
pub(crate) const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// To a child: something to score.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task<'a> {
    /// The rubric as JSON text.
    #[serde(borrow)]
    pub(crate) rubric: Cow<'a, str>,
    /// The submission's content as JSON text.
    #[serde(borrow)]
    pub(crate) content: Cow<'a, str>,
    /// What it may cost.
    pub(crate) limits: Limits,
}

/// From a child, once: it has set its limits and takes tasks.
pub(crate) const READY: &str = "ready";

/// From a child: what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// The child takes no other task: this one has left it so large that the next could suffer.
    pub(crate) retires: bool,
}

/// A message with its length before it.
pub(crate) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; size_of::<u32>()];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - size_of::<u32>()).map_err(io::Error::other)?;
    frame[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Reads the text of a message. `None` at the end of the input.
pub(crate) fn read(mut input: impl Read, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; size_of::<u32>()];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut text = vec![0; checked(u32::from_le_bytes(length), longest)?];
    input.read_exact(&mut text)?;
    Ok(Some(text))
}

/// Reads the text of a message, as [`read`] does; the end of the input is an error.
pub(crate) async fn read_async(mut input: impl AsyncRead + Unpin, longest: usize) -> io::Result<Vec<u8>> {
    let mut text = vec![0; checked(input.read_u32_le().await?, longest)?];
    input.read_exact(&mut text).await?;
    Ok(text)
}

fn checked(length: u32, longest: usize) -> io::Result<usize> {
    match usize::try_from(length) {
        Ok(length) if length <= longest => Ok(length),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scoring::ScoringError;

    #[test]
    fn a_task_reads_back_and_then_the_input_ends() {
        let limits = Limits { timeout: Duration::from_millis(1500), max_bytes: 7 };
        let task = Task { rubric: r#"{"criteria": []}"#.into(), content: "\"ü\\".into(), limits };
        let framed = frame(&task).unwrap();
        let mut input = framed.as_slice();
        let text = read(&mut input, LONGEST_TASK).unwrap().unwrap();
        let back: Task<'_> = serde_json::from_slice(&text).unwrap();
        assert_eq!((back.rubric, back.content, back.limits), (task.rubric, task.content, task.limits));
        assert!(read(&mut input, LONGEST_TASK).unwrap().is_none());
    }

    #[tokio::test]
    async fn an_answer_reads_back() {
        let answer = Answer { outcome: Err(ScoringError::invalid_content("empty")), retires: true };
        let framed = frame(&answer).unwrap();
        let text = read_async(framed.as_slice(), LONGEST_ANSWER).await.unwrap();
        let back: Answer = serde_json::from_slice(&text).unwrap();
        assert_eq!((back.outcome, back.retires), (answer.outcome, true));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
        let framed = frame(&"x".repeat(100)).unwrap();
        assert_eq!(read(framed.as_slice(), 50).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let refusal = read_async(framed.as_slice(), 50).await.unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_message_that_breaks_off_is_an_error() {
        let framed = frame(&"x".repeat(100)).unwrap();
        assert!(read(&framed[..50], 1000).is_err());
        assert_eq!(read_async(&framed[..50], 1000).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

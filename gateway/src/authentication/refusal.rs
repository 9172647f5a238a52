//! Why somebody is not let in. No word of it repeats the token.

use crate::problem::{Code, Problem};

/// Why a request has no caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It bears no token.
    #[error("Send a token: Authorization: Bearer TOKEN.")]
    Unauthenticated,
    /// It bears something else.
    #[error("The token cannot be read: send one JWT, as Authorization: Bearer TOKEN.")]
    Malformed,
    /// It bears too much.
    #[error("The token is longer than {0} bytes.")]
    TooLong(usize),
    /// No key of ours has the algorithm that the token names.
    #[error("The token is signed in a way that is not accepted here.")]
    Algorithm,
    /// The token asks for something that is not understood, which must be refused.
    #[error("The token has a header that is not understood here: {0}.")]
    Header(&'static str),
    /// No key of ours is the one that the token names.
    #[error("The token is signed with a key that is not known here.")]
    UnknownKey,
    /// Somebody else made it, or changed it.
    #[error("The signature of the token is not right.")]
    Signature,
    /// Kubernetes says that it is none of its own.
    #[error("Kubernetes does not accept the token.")]
    NotVouchedFor,
    /// Its time is over.
    #[error("The token has expired.")]
    Expired,
    /// Its time has not come.
    #[error("The token is not valid yet.")]
    NotYet,
    /// Another issuer's.
    #[error("The token comes from another issuer than the one that is trusted here.")]
    Issuer,
    /// It is for somebody else.
    #[error("The token is for another audience.")]
    Audience,
    /// It says too little.
    #[error("The token lacks the claim {0}, or it cannot be read.")]
    Claim(String),
    /// It is genuine, and does not say what is needed to place the caller.
    #[error("The token is genuine, but {0}")]
    Unplaced(String),
    /// Nobody can say now whether it is genuine.
    #[error("{0} The request may be repeated as it is.")]
    Unavailable(&'static str),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::Unplaced(_) => Code::UnusableClaims,
            Refusal::Unavailable(_) => Code::AuthenticationUnavailable,
            _ => Code::InvalidToken,
        };
        Problem::new(code, refusal.to_string())
    }
}

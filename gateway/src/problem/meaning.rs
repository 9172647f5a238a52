//! What each code means, for the description of the API.

use super::Code;

impl Code {
    /// What the code says, whatever the case.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Code::Unauthenticated => "The request bears no token.",
            Code::InvalidToken => "The token is not one that is accepted here, or its time is over.",
            Code::UnusableClaims => "The token is genuine, but does not place its bearer.",
            Code::AuthenticationUnavailable => "Whether the token is genuine cannot be found out now.",
            Code::MalformedJson => "The body is not JSON.",
            Code::InvalidBody => "The body is JSON of another form than this route takes.",
            Code::InvalidId => "The id in the path is not a UUID.",
            Code::InvalidQuery => "The query has an unknown parameter or a value that cannot be.",
            Code::UnknownRoute => "There is nothing at this path.",
            Code::UnknownSubmission => "There is no such submission.",
            Code::UnknownJob => "There is no such job.",
            Code::UnknownBatch => "There is no such batch.",
            Code::UnknownDeadLetter => "No job of this id has ended without a score.",
            Code::MethodNotAllowed => "The path has other methods; the header Allow lists them.",
            Code::NotSubmitted => "The submission is still IN_PROGRESS.",
            Code::AlreadySubmitted => "The submission is SUBMITTED and can no longer change.",
            Code::JobEnded => "The job has ended.",
            Code::NotFailed => "The job has not ended without a score.",
            Code::BodyTooLarge => "The body is larger than this gateway takes.",
            Code::BodyTimeout => "The body did not arrive in time.",
            Code::UnsupportedMediaType => "The body does not say that it is JSON.",
            Code::TooManyWatchers => "Too many wait for jobs at the moment.",
            Code::PreconditionFailed => "It is in another state than `If-Match` names.",
            Code::InvalidIdempotencyKey => "The key is empty, too long, or no text of ASCII.",
            Code::IdempotencyKeyReused => "The key was given to another request.",
            Code::RequestInProgress => {
                "The request with this key is being served: its answer can be asked for again."
            }
            Code::UnsupportedEncoding => "The body is compressed or otherwise encoded.",
            Code::UriTooLong => "The path or the query is longer than anybody needs.",
            Code::HeadersTooLarge => "There are too many header fields, or they are too large.",
            Code::RateLimited => "The client or the caller has asked for more than the limits allow.",
            Code::Overloaded => {
                "There is too much to do at the moment. The request may be repeated as it is."
            }
            Code::InvalidContent => "The content cannot be stored or scored.",
            Code::InvalidOwner => "The text cannot name who hands something in.",
            Code::InvalidTenant => "The text cannot name a tenant.",
            Code::InvalidPriority => "The priority is not a whole number from 0 to 9.",
            Code::InvalidRetries => "The number of retries cannot be.",
            Code::InvalidBackoff => "The backoff cannot be.",
            Code::InvalidNotBefore => "The time lies outside the years 1970 to 9999.",
            Code::InvalidBatch => "There are no submissions in it, or too many.",
            Code::InvalidRedrive => "What is to be redriven, or how fast, cannot be.",
            Code::InvalidData => "Postgres cannot hold what was sent.",
            Code::UnknownPool => "The gateway has no pool of this name.",
            Code::UnknownRubric => "There is no rubric of this name.",
            Code::QuotaExceeded => "The tenant has as many active jobs as it may have.",
            Code::Forbidden => "It is not for this caller.",
            Code::TooManyStreams => "Too many watch at the moment.",
            Code::Internal => "A defect of the gateway, which its log tells of.",
            Code::DatabaseUnavailable => {
                "The database does not answer. The request may be repeated as it is."
            }
        }
    }
}

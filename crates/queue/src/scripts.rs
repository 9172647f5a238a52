//! The scripts, each with the prelude in front unless it has nothing to do with jobs.
//!
//! All but those that make the queue grow also run when Redis is full (`allow-oom`): a full queue must drain.

/// One script under the name that errors give it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) code: redis::Script,
}

impl Script {
    fn new(name: &'static str, code: &str) -> Script {
        Script { name, code: redis::Script::new(code) }
    }
}

#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) announce: Script,
    pub(crate) enqueue: Script,
    pub(crate) claim: Script,
    pub(crate) renew: Script,
    pub(crate) adopt: Script,
    pub(crate) release: Script,
    pub(crate) finish: Script,
    pub(crate) cancel: Script,
    pub(crate) withdraw: Script,
    pub(crate) waiting: Script,
    pub(crate) depth: Script,
    pub(crate) is_current: Script,
    pub(crate) begin_rebuild: Script,
    pub(crate) complete_rebuild: Script,
    pub(crate) discard: Script,
    pub(crate) report_scorer: Script,
    pub(crate) dismiss_scorer: Script,
    pub(crate) scorers: Script,
}

impl Scripts {
    pub(crate) fn new() -> Scripts {
        Scripts {
            announce: Script::new("announce", ANNOUNCE),
            enqueue: Script::new("enqueue", ENQUEUE),
            claim: Script::new("claim", CLAIM),
            renew: Script::new("renew", RENEW),
            adopt: Script::new("adopt", ADOPT),
            release: Script::new("release", RELEASE),
            finish: Script::new("finish", FINISH),
            cancel: Script::new("cancel", CANCEL),
            withdraw: Script::new("withdraw", WITHDRAW),
            waiting: Script::new("waiting", WAITING),
            depth: Script::new("depth", DEPTH),
            is_current: Script::new("is_current", IS_CURRENT),
            begin_rebuild: Script::new("begin_rebuild", BEGIN_REBUILD),
            complete_rebuild: Script::new("complete_rebuild", COMPLETE_REBUILD),
            discard: Script::new("discard", DISCARD),
            report_scorer: Script::new("report_scorer", REPORT_SCORER),
            dismiss_scorer: Script::new("dismiss_scorer", DISMISS_SCORER),
            scorers: Script::new("scorers", SCORERS),
        }
    }
}

const ANNOUNCE: &str = concat!("#!lua flags=allow-oom\n", include_str!("scripts/announce.lua"));
const ENQUEUE: &str =
    concat!("#!lua\n", include_str!("scripts/prelude.lua"), include_str!("scripts/enqueue.lua"));
const CLAIM: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/claim.lua")
);
const RENEW: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/renew.lua")
);
const ADOPT: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/adopt.lua")
);
const RELEASE: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/release.lua")
);
const FINISH: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/finish.lua")
);
const CANCEL: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/cancel.lua")
);
const WITHDRAW: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/withdraw.lua")
);
const WAITING: &str = concat!(
    "#!lua flags=no-writes\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/waiting.lua")
);
const DEPTH: &str = concat!(
    "#!lua flags=no-writes\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/depth.lua")
);
const IS_CURRENT: &str = concat!(
    "#!lua flags=no-writes\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/is_current.lua")
);
const BEGIN_REBUILD: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/begin_rebuild.lua")
);
const COMPLETE_REBUILD: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/complete_rebuild.lua")
);
const DISCARD: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/discard.lua")
);

/// Not `allow-oom`: in a Redis that is full, queues need what is left.
const REPORT_SCORER: &str = concat!("#!lua\n", include_str!("scripts/report_scorer.lua"));
const DISMISS_SCORER: &str = concat!("#!lua flags=allow-oom\n", include_str!("scripts/dismiss_scorer.lua"));
const SCORERS: &str = concat!("#!lua flags=no-writes\n", include_str!("scripts/scorers.lua"));

"""The command line: `practicus-assets`, for those who operate a lake."""

from practicus_assets.cli.group import LazyGroup

main = LazyGroup(
    "practicus-assets",
    {
        "history": ("practicus_assets.cli.history:history", "What each commit of a table did."),
        "diff": ("practicus_assets.cli.diff:diff", "What changed between two versions."),
        "rollback": ("practicus_assets.cli.rollback:rollback", "Bring a table or partitions back."),
        "verify": ("practicus_assets.cli.verify:verify", "Whether tables are whole, and Dagster knows them."),
        "maintain": ("practicus_assets.cli.maintain:maintain", "Compact, checkpoint, vacuum, expire."),
        "worker": ("practicus_assets.cli.worker:worker", "The pod that a step would get, and why."),
        "doctor": (
            "practicus_assets.cli.doctor:doctor",
            "Whether workers can do their work, where they run.",
        ),
        "release": ("practicus_assets.cli.release:release", "Versions of tables that belong together."),
    },
    help="""Look at, repair and maintain the Delta tables of a Dagster code location.

    Commands find the tables as dagster does: -m MODULE, -f FILE, -w WORKSPACE, or what the working directory
    holds. DAGSTER_HOME names the instance. Each takes --json.
    """,
    epilog="Exit codes: 0 done; 1 refused or failed, the message says why and what to do; 2 wrong usage; "
    "3 verify found something; 4 somebody else was first, run it again; 5 the store did not say whether a "
    "commit landed, look at the history.",
)

"""The four dashboards, as Grafana's own builders write them: `make dashboards` writes grafana/dashboards/*.json anew.

Whoever runs Dosette needs the JSON only, so that is kept beside; a test holds it against this file.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueGraphMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

FOLDER = Path(__file__).parent / "dashboards"
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
PERCENTILES = (("half within", 0.5), ("95 of 100 within", 0.95), ("99 of 100 within", 0.99))
OWN = 'job=~"api|scheduler|worker|display-agent|backup"'

Query = tuple[str, str]
"""What its line is called, and what is asked."""
Panel = Builder[dashboard.dashboard.Panel]


def all_of_them() -> dict[str, str]:
    """Text by file name."""
    made = {
        "household": household(),
        "performance": performance(),
        "reminders": reminders(),
        "benchmarks": benchmarks(),
    }
    return {f"{name}.json": _text(each) for name, each in made.items()}


def household() -> dashboard.Dashboard:
    return (
        _board(
            "household", "Household health", "Whether everybody is told, everything is saved and every panel is well."
        )
        .with_row(dashboard.Row("Is everybody told?"))
        .with_panel(
            number(
                "Waiting to be told, longest",
                "How long the oldest due reminder has been waiting. Zero is as it should be; two minutes raise an alert.",
                "s",
                "max(dosette_reminder_lag_seconds)",
                orange=15,
                red=120,
            )
        )
        .with_panel(
            number(
                "Could not be told",
                "Messages that were given up after five tries. Somebody has to see to them: GET /api/v1/reminders.",
                "short",
                "max(dosette_deliveries_parked)",
                red=1,
            )
        )
        .with_panel(
            number(
                "Told within a minute",
                "Share of the messages of 30 days that came within a minute of when somebody was to be told. "
                "The objective is 99.5 %.",
                "percentunit",
                "dosette:told:on_time_ratio_30d",
                low_is_bad=(0.99, 0.995),
                decimals=2,
            )
        )
        .with_panel(
            number(
                "Alerts",
                "How many alerts fire now, without the watchdog. Their names and texts: Prometheus, Alerts.",
                "short",
                'count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
                orange=1,
                red=3,
            )
        )
        .with_panel(
            chart(
                "Told, by channel",
                "Messages of the last hour through each channel, and those that failed or were given up.",
                "short",
                ("{{channel}} {{outcome}}", "sum by (channel, outcome) (increase(dosette_deliveries_total[1h]))"),
            )
        )
        .with_panel(
            chart(
                "Doses planned and missed",
                "Doses that became rows of the plan in the last hour, and those whose window ended untaken.",
                "short",
                ("planned", "sum(increase(dosette_doses_planned_total[1h]))"),
                ("missed", "sum(increase(dosette_doses_missed_total[1h]))"),
            )
        )
        .with_row(dashboard.Row("The panels"))
        .with_panel(
            number(
                "Panels that are silent",
                "Paired panels that the server has not heard of for minutes: without power, or without Wi-Fi.",
                "short",
                'max(dosette_panels{state="silent"})',
                orange=1,
            )
        )
        .with_panel(
            number(
                "Most silent panel",
                "For how long the most silent panel has given no sign of life. Each gives one a minute.",
                "s",
                "max(dosette_panel_silence_seconds)",
                orange=180,
                red=600,
            )
        )
        .with_panel(
            number(
                "Presses on their way",
                "Button presses that are saved on a panel and have not reached the server.",
                "short",
                "max(dosette_panel_waiting_presses)",
                orange=1,
                red=10,
            )
        )
        .with_panel(
            number(
                "Clocks differ by",
                "How far a panel's clock is from the server's, at most. From a minute on, neither is believed.",
                "s",
                'max(dosette_clock_difference_seconds{source="panel"})',
                orange=10,
                red=60,
            )
        )
        .with_row(dashboard.Row("Is it safe?"))
        .with_panel(
            number(
                "Doses can be saved",
                "Whether the database answers. While it does not, panels go on alone and keep what is pressed.",
                "short",
                "min(dosette_database_up)",
                yes_no=True,
            )
        )
        .with_panel(
            number(
                "Panels and messages at once",
                "Whether every part reaches Redis. Without it messages come seconds later, and no dose is lost.",
                "short",
                "min(dosette_redis_up)",
                yes_no=True,
            )
        )
        .with_panel(
            number(
                "Newest backup",
                "Age of the newest backup that was restored for trial. One is made each night.",
                "s",
                "time() - max(dosette_backup_timestamp_seconds)",
                orange=26 * 3600,
                red=50 * 3600,
            )
        )
        .with_panel(
            number(
                "Disk used",
                "How full the server's disk is. From 85 % on there is an alert; on a full disk no dose can be saved.",
                "percentunit",
                "max(dosette_disk_used_ratio)",
                orange=0.85,
                red=0.95,
            )
        )
        .with_panel(
            chart(
                "Parts that answer",
                "1: the part tells how it is; 0: it is gone or hangs.",
                "short",
                ("{{job}}", "min by (job) (up)"),
            )
        )
        .with_panel(
            chart(
                "Starts",
                "How often each part was started in the last hour, beyond the first time. Five in ten minutes are an alert.",
                "short",
                ("{{job}}", f"sum by (job) (changes(process_start_time_seconds{{{OWN}}}[1h]))"),
            )
        )
    )


def performance() -> dashboard.Dashboard:
    return (
        _board("performance", "API and database", "How long people, programs and panels wait, and for what.")
        .with_row(dashboard.Row("The API"))
        .with_panel(
            number(
                "95 of 100 requests within",
                "Of what people and programs ask, over five minutes; probes don't count. 200 ms are an alert.",
                "s",
                "dosette:http_request_seconds:p95_5m",
                orange=0.15,
                red=0.2,
            )
        )
        .with_panel(
            number(
                "A request takes, on average",
                "The mean over five minutes, without probes. 125 ms are an alert.",
                "s",
                "dosette:http_request_seconds:mean_5m",
                orange=0.1,
                red=0.125,
            )
        )
        .with_panel(
            number(
                "95 of 100 statements within",
                "Of what the slowest part asks of PostgreSQL, over five minutes. 100 ms are an alert.",
                "s",
                "max(dosette:sql_seconds:p95_5m)",
                orange=0.05,
                red=0.1,
            )
        )
        .with_panel(
            number(
                "A statement takes, on average",
                "The mean of the slowest part over five minutes. 75 ms are an alert.",
                "s",
                "max(dosette:sql_seconds:mean_5m)",
                orange=0.04,
                red=0.075,
            )
        )
        .with_panel(
            chart(
                "Requests",
                "How many requests a second, by how they ended. 5xx is an outage, or a fault of ours.",
                "reqps",
                ("{{status}}", "sum by (status) (rate(dosette_http_requests_total[$__rate_interval]))"),
            )
        )
        .with_panel(
            chart(
                "Time to answer",
                "How long requests take, probes left out.",
                "s",
                *_within('dosette_http_request_seconds_bucket{endpoint!~"operations[.].*"}'),
            )
        )
        .with_panel(
            chart(
                "Slowest endpoints",
                "Mean time of the five endpoints that take longest.",
                "s",
                (
                    "{{endpoint}}",
                    "topk(5, sum by (endpoint) (rate(dosette_http_request_seconds_sum[$__rate_interval]))"
                    " / (sum by (endpoint) (rate(dosette_http_request_seconds_count[$__rate_interval])) > 0))",
                ),
            )
        )
        .with_row(dashboard.Row("PostgreSQL, as its clients see it"))
        .with_panel(
            chart(
                "Messages",
                "Round trips a second, each one commit, by who sends them.",
                "ops",
                ("{{job}}", "sum by (job) (rate(dosette_sql_messages_total[$__rate_interval]))"),
            )
        )
        .with_panel(
            chart(
                "Time to answer, by part",
                "95 of 100 messages are answered within.",
                "s",
                (
                    "{{job}}",
                    "histogram_quantile(0.95, sum by (job, le) (rate(dosette_sql_seconds_bucket[$__rate_interval])))",
                ),
            )
        )
        .with_panel(
            chart(
                "Slowest statements",
                "Mean time of the five statements that take longest.",
                "s",
                (
                    "{{statement}}",
                    "topk(5, sum by (statement) (rate(dosette_sql_seconds_sum[$__rate_interval]))"
                    " / (sum by (statement) (rate(dosette_sql_seconds_count[$__rate_interval])) > 0))",
                ),
            )
        )
        .with_row(dashboard.Row("PostgreSQL, as it sees itself"))
        .with_panel(
            chart(
                "Connections",
                "Open connections to the database, and how many PostgreSQL allows.",
                "short",
                ("open", "max(dosette_database_connections)"),
                ("allowed", "max(dosette_database_connections_limit)"),
            )
        )
        .with_panel(
            chart(
                "Longest transaction",
                "Age of the longest open transaction. Others wait for what it holds.",
                "s",
                ("open for", "max(dosette_database_oldest_transaction_seconds)"),
            )
        )
        .with_panel(
            chart(
                "Read from memory",
                "Share of blocks that were found in memory. On an SD card each other one costs milliseconds.",
                "percentunit",
                (
                    "from memory",
                    'sum(rate(dosette_database_blocks_read_total{source="cache"}[$__rate_interval]))'
                    " / sum(rate(dosette_database_blocks_read_total[$__rate_interval]))",
                ),
            )
        )
        .with_panel(
            chart(
                "Size",
                "Size of the database on its disk. It grows with history, by a few megabytes a year.",
                "bytes",
                ("database", "max(dosette_database_size_bytes)"),
            )
        )
        .with_panel(
            chart(
                "Rows",
                "Rows that live, and dead ones that wait to be cleaned up. Many dead ones make all slower.",
                "short",
                ("{{state}}", "max by (state) (dosette_database_rows)"),
            )
        )
        .with_panel(
            chart(
                "Transactions",
                "Transactions a second by how they ended. What was refused is rolled back.",
                "ops",
                ("{{end}}", "sum by (end) (rate(dosette_database_transactions_total[$__rate_interval]))"),
            )
        )
        .with_panel(
            chart(
                "Written ahead",
                "Bytes a second into the write-ahead log: what an SD card has to bear.",
                "Bps",
                ("log", "sum(rate(dosette_database_wal_bytes_total[$__rate_interval]))"),
            )
        )
        .with_panel(
            chart(
                "Checkpoints",
                "Checkpoints in an hour: in time, or on demand, since much was written.",
                "short",
                ("{{cause}}", "sum by (cause) (increase(dosette_database_checkpoints_total[1h]))"),
            )
        )
        .with_panel(
            chart(
                "Deadlocks",
                "Deadlocks that PostgreSQL broke in the last hour. There is to be none.",
                "short",
                ("deadlocks", "sum(increase(dosette_database_deadlocks_total[1h]))"),
            )
        )
        .with_row(dashboard.Row("The processes"))
        .with_panel(
            chart(
                "Memory",
                "What each part holds; what they share is shared out. 400 MB in all are an alert.",
                "bytes",
                ("{{job}}", "sum by (job) (dosette:memory_bytes)"),
                ("all", "dosette:memory_bytes:sum"),
            )
        )
        .with_panel(
            chart(
                "Growth",
                "By how much each process grows in an hour, over the last two. 10 MB for an hour are an alert.",
                "bytes",
                ("{{job}}", "dosette:memory_bytes:growth_per_hour"),
            )
        )
        .with_panel(
            chart(
                "Processor",
                "Share of one processor core that each part uses.",
                "percentunit",
                ("{{job}}", f"sum by (job) (rate(process_cpu_seconds_total{{{OWN}}}[$__rate_interval]))"),
            )
        )
    )


def reminders() -> dashboard.Dashboard:
    return (
        _board(
            "reminders",
            "Reminders and queues",
            "Whether people are told on time, and where messages wait when they are not.",
        )
        .with_row(dashboard.Row("The objective: 99.5 of 100 messages within a minute, over 30 days"))
        .with_panel(
            number(
                "Told within a minute",
                "Share of the messages of 30 days that came within a minute of when somebody was to be told.",
                "percentunit",
                "dosette:told:on_time_ratio_30d",
                low_is_bad=(0.99, 0.995),
                decimals=2,
            )
        )
        .with_panel(
            number(
                "Error budget left",
                "Of the 5 messages of 1000 that may be late. Less than nothing: the objective is missed.",
                "percentunit",
                "dosette:told:error_budget_ratio_30d",
                low_is_bad=(0, 0.25),
            )
        )
        .with_panel(
            number(
                "Messages of 30 days",
                "How many messages were sent or given up.",
                "short",
                "round(dosette:told:messages_30d)",
            )
        )
        .with_panel(
            number(
                "Late or given up in 30 days",
                "How many of them came later than a minute, or never.",
                "short",
                "round(dosette:told:late_30d)",
                orange=1,
            )
        )
        .with_panel(
            chart(
                "How fast the budget burns",
                "1: it lasts exactly 30 days. 14.4 over an hour, with two messages late, is an alert.",
                "short",
                ("over an hour", "dosette:told:burn_1h"),
                ("over six hours", "dosette:told:burn_6h"),
            )
        )
        .with_panel(
            chart(
                "From when somebody was to be told, to told",
                "Arrival of the message after the moment at which it was wanted.",
                "s",
                *_within("dosette_delivery_lag_seconds_bucket"),
            )
        )
        .with_row(dashboard.Row("Who waits"))
        .with_panel(
            chart(
                "Waiting to be told",
                "Reminders that are due and messages that are to be sent, and were not.",
                "short",
                ("waiting", "max(dosette_reminders_waiting)"),
                ("given up", "max(dosette_deliveries_parked)"),
            )
        )
        .with_panel(
            chart(
                "Oldest of them",
                "How long the oldest has been waiting. Two minutes are an alert.",
                "s",
                ("waiting", "max(dosette_reminder_lag_seconds)"),
            )
        )
        .with_panel(
            chart(
                "Under way",
                "Messages that a worker has claimed and not recorded, by channel.",
                "short",
                ("{{channel}}", "sum by (channel) (dosette_deliveries_under_way)"),
            )
        )
        .with_panel(
            chart(
                "Sent, failed, given up",
                "Messages of the last hour by channel.",
                "short",
                ("{{channel}} {{outcome}}", "sum by (channel, outcome) (increase(dosette_deliveries_total[1h]))"),
            )
        )
        .with_row(dashboard.Row("The queue: a doorbell, no more"))
        .with_panel(
            chart(
                "Jobs",
                "Jobs in Redis: to be done, being done, failed within the hour. A lost one costs seconds.",
                "short",
                ("{{state}}", "max by (state) (dosette_queue_jobs)"),
            )
        )
        .with_panel(
            chart(
                "Oldest job",
                "Age of the oldest job that is to be done. It is dropped after a minute, for a sweep does without it.",
                "s",
                ("waiting", "max(dosette_queue_oldest_job_seconds)"),
            )
        )
        .with_panel(
            chart(
                "Workers",
                "Workers that the queue knows, and those that Prometheus reaches.",
                "short",
                ("in the queue", "max(dosette_queue_workers)"),
                ("reached", 'sum(up{job="worker"})'),
            )
        )
        .with_panel(
            chart(
                "Redis",
                "Memory that Redis uses, and how much it may.",
                "bytes",
                ("used", "max(dosette_redis_memory_bytes)"),
                ("allowed", "max(dosette_redis_memory_limit_bytes)"),
            )
        )
        .with_panel(
            chart(
                "Refused jobs",
                "Jobs that named a callable which is not on the worker's list. Anything but zero is somebody else's doing.",
                "short",
                ("refused", "sum(dosette_jobs_refused_total)"),
            )
        )
        .with_row(dashboard.Row("The scheduler and the panels"))
        .with_panel(
            chart(
                "Schedulers that lead",
                "One leads, the others wait. None: nobody plans or rings.",
                "short",
                ("lead", "sum(dosette_scheduler_leads)"),
            )
        )
        .with_panel(
            chart(
                "A round takes",
                "Duration of one round of the scheduler.",
                "s",
                *_within("dosette_scheduler_tick_seconds_bucket"),
            )
        )
        .with_panel(
            chart(
                "Since the last round",
                "How long ago the scheduler finished a round. It does so every five seconds at least.",
                "s",
                ("ago", "time() - max(dosette_scheduler_heartbeat_timestamp_seconds)"),
            )
        )
        .with_panel(
            chart(
                "Presses",
                "Presses of the last hour by what became of each dose.",
                "short",
                ("{{outcome}}", "sum by (outcome) (increase(dosette_presses_total[1h]))"),
            )
        )
        .with_panel(
            chart(
                "Panels' plans",
                "How old the plan is that a panel goes by. A new one comes with each change, and every few hours.",
                "s",
                ("age", "max(dosette_panel_plan_age_seconds)"),
            )
        )
        .with_panel(
            chart(
                "Refreshes",
                "Times that a panel was given a picture in the last hour, and pages that would not have changed it.",
                "short",
                ("{{mode}}", "sum by (mode) (increase(dosette_panel_refreshes_total[1h]))"),
                ("spared", "sum(increase(dosette_panel_frames_skipped_total[1h]))"),
            )
        )
    )


def benchmarks() -> dashboard.Dashboard:
    run = '{testid=~"$run"}'
    return (
        _board(
            "benchmarks",
            "Benchmarks and k6 runs",
            "A k6 run while it runs, and how dosette-bench's figures move.",
            refresh="5s",
        )
        .with_variable(_choice("run", "k6 run", "label_values(k6_http_reqs_total, testid)"))
        .with_variable(_choice("suite", "suite", "label_values(dosette_bench_figure, suite)"))
        .with_row(dashboard.Row("A k6 run, as its users see it"))
        .with_panel(number("Requests", "How many requests the run has made.", "short", f"sum(k6_http_reqs_total{run})"))
        .with_panel(
            number(
                "Failed",
                "Share of requests that failed.",
                "percentunit",
                f"max(k6_http_req_failed_rate{run})",
                orange=0.001,
                red=0.01,
            )
        )
        .with_panel(
            number(
                "Slowest p95",
                "Of the operation that takes longest, 95 of 100 are answered within.",
                "s",
                f"max(k6_http_req_duration_p95{run})",
                orange=0.15,
                red=0.25,
            )
        )
        .with_panel(
            number(
                "Dropped",
                "Iterations of an open model that could not begin in time; k6 tells of none unless there are some.",
                "short",
                f"sum(k6_dropped_iterations_total{run}) or vector(0)",
                orange=1,
            )
        )
        .with_panel(
            chart(
                "Half are answered within",
                "By operation.",
                "s",
                ("{{operation}}", f"max by (operation) (k6_http_req_duration_p50{run})"),
            )
        )
        .with_panel(
            chart(
                "95 of 100 are answered within",
                "By operation.",
                "s",
                ("{{operation}}", f"max by (operation) (k6_http_req_duration_p95{run})"),
            )
        )
        .with_panel(
            chart(
                "Requests a second",
                "By operation.",
                "reqps",
                ("{{operation}}", f"sum by (operation) (rate(k6_http_reqs_total{run}[$__rate_interval]))"),
            )
        )
        .with_panel(chart("Users", "How many users k6 plays.", "short", ("users", f"max(k6_vus{run})")))
        .with_row(dashboard.Row("The same, as the server sees it"))
        .with_panel(
            chart(
                "What the API says of itself",
                "Far below what k6 sees: the request waited before the API took it up.",
                "s",
                *_within("dosette_http_request_seconds_bucket"),
            )
        )
        .with_panel(
            chart(
                "Messages to PostgreSQL",
                "Round trips a second, by who sends them.",
                "ops",
                ("{{job}}", "sum by (job) (rate(dosette_sql_messages_total[$__rate_interval]))"),
            )
        )
        .with_row(dashboard.Row("The trend: what dosette-bench measured, run after run"))
        .with_panel(
            number(
                "Newest result",
                "How long ago the newest result was measured that `dosette-bench publish` has sent here.",
                "s",
                "time() - max(last_over_time(dosette_bench_run_timestamp_seconds[60d]))",
                span=12,
            )
        )
        .with_panel(
            number(
                "Promises broken",
                "How many critical targets the newest result missed.",
                "short",
                "sum(last_over_time(dosette_bench_missed[60d]))",
                red=1,
                span=12,
            )
        )
        .with_panel(
            chart(
                "Times",
                "Each operation's time, as it was measured: compare one machine with itself.",
                "ms",
                ("{{operation}} ({{machine}})", _at_each_run("ms")),
                points=True,
            )
        )
        .with_panel(
            chart(
                "Counts",
                "What repeats on any machine: instructions that a request costs, statements, rows.",
                "short",
                ("{{suite}} {{operation}}", _at_each_run("count")),
                points=True,
            )
        )
        .with_panel(
            chart(
                "Ratios",
                "A cost against that of a bare answer of the same run: the machine's moods hit both.",
                "short",
                ("{{suite}} {{operation}}", _at_each_run("ratio")),
                points=True,
            )
        )
        .with_panel(
            chart(
                "Memory",
                "Megabytes by operation.",
                "decmbytes",
                ("{{operation}} ({{machine}})", _at_each_run("MB")),
                points=True,
            )
        )
    )


def number(
    title: str,
    what: str,
    unit: str,
    asked: str,
    *,
    orange: float | None = None,
    red: float | None = None,
    low_is_bad: tuple[float, float] | None = None,
    yes_no: bool = False,
    decimals: int | None = None,
    span: int = 6,
) -> Panel:
    """One figure, its colour the answer: green below `orange`, or (`low_is_bad`) red below the first and orange below the second."""
    steps = [("green", None), ("orange", orange), ("red", red)]
    if low_is_bad:
        steps = [("red", None), ("orange", low_is_bad[0]), ("green", low_is_bad[1])]
    if yes_no:
        steps = [("red", None), ("green", 1)]
    panel = (
        stat.Panel()
        .title(title)
        .description(what)
        .unit(unit)
        .datasource(PROMETHEUS)
        .height(4)
        .span(span)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_steps([each for each in steps if each[1] is not None or each is steps[0]]))
        .with_target(_query(0, "", asked))
    )
    if yes_no:
        panel.mappings([ValueMap(options={"0": ValueMappingResult(text="no"), "1": ValueMappingResult(text="yes")})])
    return panel.decimals(decimals) if decimals is not None else panel


def chart(title: str, what: str, unit: str, *asked: Query, points: bool = False) -> Panel:
    """Lines over time, from zero; `points`: of two months, each value that of a run."""
    panel = timeseries.Panel().title(title).description(what).unit(unit).datasource(PROMETHEUS).height(8).span(8).min(0)
    for number_, (name, query) in enumerate(asked):
        panel.with_target(_query(number_, name, query))
    return panel.time_from("60d").span_nulls(True).point_size(8) if points else panel


def _at_each_run(unit: str) -> str:
    """A result is one point in time, which would be shown for five minutes only."""
    return f'last_over_time(dosette_bench_figure{{suite=~"$suite",unit="{unit}"}}[$__rate_interval])'


def _within(buckets: str) -> list[Query]:
    name, brace, matchers = buckets.partition("{")
    asked = f"{name}{brace}{matchers}[$__rate_interval]"
    return [(told, f"histogram_quantile({share}, sum by (le) (rate({asked})))") for told, share in PERCENTILES]


def _query(number_: int, name: str, asked: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(asked).datasource(PROMETHEUS).ref_id("ABCDEFG"[number_]).range()
    return query.legend_format(name) if name else query


def _steps(steps: list[tuple[str, float | None]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=color) for color, value in steps])
    )


def _choice(name: str, label: str, asked: str) -> dashboard.QueryVariable:
    """All of them, unless one is chosen."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": asked, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_DESC)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _board(name: str, title: str, what: str, refresh: str = "30s") -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(f"Dosette: {title}")
        .uid(f"dosette-{name}")
        .description(what)
        .tags(["dosette"])
        .readonly()
        .refresh(refresh)
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
    )


def _text(board: dashboard.Dashboard) -> str:
    """As Grafana reads it from a file: without an id, which is its own to give."""
    told = json.loads(JSONEncoder().encode(board.build()))
    for place, panel in enumerate(told["panels"], start=1):
        panel["id"] = place
    return json.dumps({"id": None, **told}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in all_of_them().items():
        (FOLDER / name).write_text(text)

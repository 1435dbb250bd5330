"""How to read it: words only."""

from dosette_bench.report.blocks import Block, Bullets, Code, Heading, Paragraph, Strong, Text

ITEMS: tuple[Text, ...] = (
    (
        Strong("Closed loop."),
        " Each user waits for the answer before asking again, so users and throughput tie the wait: N users at X answers a second"
        " wait N / X on average, less the time that they think (Little's law). A closed loop without think time asks for"
        " throughput: its target is missed or held by answers a second, whoever the users are.",
    ),
    (
        Strong("Open model."),
        " Requests come at a rate, whatever happens. What a slow answer makes others wait is in the figures, and requests that could"
        " not even begin are counted as dropped.",
    ),
    (
        Strong("Interval."),
        " The confidence interval of the mean (",
        Code("ci95"),
        " in the results), by a bootstrap over rounds: tries of one round share the machine's mood, so they count as one fact."
        " Where a limit lies within the interval, the verdict could as well have been the other one.",
    ),
    (
        Strong("Over results,"),
        " dots are medians, evenly spaced, and their interval comes from a bootstrap over the medians of rounds. Rising or falling is"
        " called only what chance would hardly do.",
    ),
    (
        Strong("Percentiles"),
        " are the nearest rank: always a time that was really measured. Of few tries, p99 is simply the longest.",
    ),
    (
        Strong("Histogram."),
        " Bars are buckets of equal width in the logarithm; an empty place had no try at all. A second hill is a second way that the"
        " request can go: a cache, a lock, a collection of garbage.",
    ),
    (
        Strong("CPU time"),
        " is that of each process for one request. It depends less on the neighbours than the time that passes, and shows work that"
        " goes on after the answer.",
    ),
    (
        Strong("Memory."),
        " PSS shares out what several processes share, so that the sum is true; RSS counts it in each; anonymous memory belongs to no"
        " file and doesn't depend on what else runs.",
    ),
    (
        Strong("A failed try"),
        " is no fast success: it is counted as an error and is in no time. A promise about what was not measured never holds.",
    ),
    (
        Strong("A box"),
        " limits the processor time and the memory of the stack. It can't stand for the board's memory card and what a commit waits for"
        " it, for another processor's caches and instructions, for heat, or for a radio link.",
    ),
    (
        Strong("Levels."),
        " A missed critical target fails the run. An important one should be mended, an acceptable one is a wish.",
    ),
)


def how_to_read_it() -> list[Block]:
    again: Text = (
        "Measure again with ",
        Code("dosette-bench"),
        "; measure two checkouts in turns with ",
        Code("dosette-bench ab"),
        ", which alone tells the code from the machine's mood; see how each figure moved with ",
        Code("dosette-bench trend"),
        ". The results themselves are ",
        Code("complete_benchmark_results.json"),
        ".",
    )
    return [Heading("How to read it"), Bullets(ITEMS), Paragraph(again)]

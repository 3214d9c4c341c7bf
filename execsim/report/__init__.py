"""What a run leaves for people: parquet frames, transaction costs, report.html and the terminal's summary table.

    run        RunRecord and the bounded samplers that fill its series
    frames     orders, fills, positions and equity as pandas frames and parquet
    tca        what the fills were worth against the market around them
    summary    the --json object as text sections, read by the two below
    terminal   summary_table for stdout
    html       write_report; chart has its data, assets/ its style and script, shot a way to look at it

Nothing is imported here: `terminal` needs neither pandas nor pyarrow, and `execsim run` without --out stays light.
"""

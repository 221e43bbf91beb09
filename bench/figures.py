"""A figure that is to be reached, as `scripts/bench` collects it for its last table (it takes these lines out of what a bench prints):

    figure TAB what TAB value TAB unit TAB most|least TAB reach TAB beside

most: at most that much; least: at least. beside: what the same run says of a peer, or of the machine's limit."""


def figure(what, value, unit, sense, reach, beside=""):
    assert sense in ("most", "least")
    print("figure", what, f"{value:.4g}" if value < 100 else f"{value:.0f}", unit, sense, reach, beside, sep="\t", flush=True)

"""Report: verdicts and figures in, plots and pages out. Pure: nothing here touches a file or the network, templates aside."""

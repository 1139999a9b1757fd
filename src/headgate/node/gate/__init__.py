"""The process beside a data plane without a control process: lets one control plane in."""

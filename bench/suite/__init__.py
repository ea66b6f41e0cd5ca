# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of the benchmark share."""

# SPDX-License-Identifier: MIT
"""What a running synward exports, and what PromQL asks for."""
import collections
import re

SUFFIXES = ("_bucket", "_sum", "_count")
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless",
         "bool", "offset", "inf", "nan"}


class Exposition:
    """The text of /metrics: names with their types, labels and values of labels."""

    def __init__(self, text):
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.labels = collections.defaultdict(lambda: collections.defaultdict(set))
        for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.M):
            for label, value in re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels):
                self.labels[self.base(name)][label].add(value)

    def base(self, name):
        """The metric of a sample: a histogram has three kinds."""
        for suffix in SUFFIXES:
            if name.endswith(suffix) and self.types.get(name[:-len(suffix)]) == "histogram":
                return name[:-len(suffix)]
        return name


def metrics_in(expr):
    """(name, matchers) of each metric in a PromQL expression."""
    return re.findall(r"\b((?:synward|process)_[a-z_]+)(?:\{(.*?)\})?", expr)


def matchers_in(text):
    """(label, operator, value)"""
    return re.findall(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"', text)


def grouped_by(expr):
    """The labels after "by"."""
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expr)
            for label in group.split(",")}

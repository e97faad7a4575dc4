"""An import-linter contract for pure modules: like "forbidden", but a module may not exist yet.

A listed module that is not there is named in a warning instead of ending the whole run, so
that the list can be the plan of the house and be enforced module by module as it is built.
"""

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.contract import ContractCheck
from importlinter.domain.imports import ModuleExpression


class PureContract(ForbiddenContract):
    """No source module reaches a forbidden one, directly or through others."""

    type_name = "pure"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """The result for the modules that exist, with a warning for each that does not."""
        # The class declares a field, whose parsed value is kept under the same name.
        listed = sorted(map(str, vars(self)["source_modules"]))
        absent = [name for name in listed if name not in graph.modules]
        present = [ModuleExpression(name) for name in listed if name in graph.modules]
        setattr(self, "source_modules", present)  # noqa: B010
        result = super().check(graph=graph, verbose=verbose)
        result.warnings.extend(f"{name} does not exist yet." for name in absent)
        return result

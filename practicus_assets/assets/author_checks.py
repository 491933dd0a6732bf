"""Author's checks: declared in `check_specs`, with results that the function itself returns or yields."""

from collections.abc import Collection, Iterable, Sequence

import dagster as dg

from practicus_assets.errors import AuditFailed, DataRefused, DeclarationError, did_you_mean
from practicus_assets.lake.contracts.audit import AuditResult


class AuthorChecks:
    """The checks that an author declared beside those of the contract.

    Args:
        specs: the checks.
        selected: the checks that the run selects.

    """

    def __init__(self, specs: Sequence[dg.AssetCheckSpec], selected: Collection[dg.AssetCheckKey]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._selected = {key.name for key in selected}
        self.keys = {spec.key for spec in specs}

    def named(self, result: dg.AssetCheckResult) -> dg.AssetCheckResult:
        """Return a result with the names of its asset and of its check.

        Raises:
            DeclarationError: if no check of that name is declared.

        """
        name = result.check_name or (next(iter(self._specs)) if len(self._specs) == 1 else None)
        spec = self._specs.get(name or "")
        if spec is None or result.asset_key not in (None, spec.asset_key):
            what = "without a name" if name is None else repr(str(name))
            raise DeclarationError(
                f"the function gave a result of a check {what}; check_specs declares {sorted(self._specs)}.",
                did_you_mean(name, self._specs, "Name a check that is declared: check_specs=[…]."),
            )
        return result._replace(asset_key=spec.asset_key, check_name=spec.name)

    def recorded(self, results: Iterable[dg.AssetCheckResult]) -> list[dg.AssetCheckResult]:
        """Return the results of checks that the run selects."""
        return [result for result in results if result.check_name in self._selected]

    def refuse_failed(self, results: Sequence[dg.AssetCheckResult]) -> None:
        """Raise AuditFailed if a check failed that keeps the rows from the table."""
        failed = [result for result in results if self._blocks(result)]
        if failed:
            phrases = [f"{r.check_name}: {r.description}" if r.description else r.check_name for r in failed]
            raise AuditFailed(
                f"checks of the function failed: {'; '.join(map(str, phrases))}.",
                "Fix the data or the check.",
                audits(results),
            )

    def refuse_missing(self, results: Iterable[dg.AssetCheckResult]) -> None:
        """Raise DataRefused if a check that the run selects has no result."""
        missing = sorted((self._specs.keys() & self._selected) - {result.check_name for result in results})
        if missing:
            raise DataRefused(
                f"the function declares the checks {missing} in check_specs, and gave no result of them.",
                f"Return or yield dg.AssetCheckResult(check_name={missing[0]!r}, passed=…) with the rows.",
            )

    def refuse_unknown(self, results: Iterable[dg.AssetCheckResult]) -> None:
        """Raise DataRefused if the attempt that committed recorded no result of a check."""
        missing = sorted((self._specs.keys() & self._selected) - {result.check_name for result in results})
        if missing:
            raise DataRefused(
                f"an earlier attempt committed the rows, and ended before the checks {missing} had a result.",
                "Materialize it again.",
            )

    def _blocks(self, result: dg.AssetCheckResult) -> bool:
        spec = self._specs[str(result.check_name)]
        return spec.blocking and not result.passed and result.severity is dg.AssetCheckSeverity.ERROR


def audits(results: Iterable[dg.AssetCheckResult]) -> list[AuditResult]:
    """Return results as a commit's record keeps them."""
    return [
        AuditResult(
            name=str(result.check_name),
            passed=result.passed,
            severity="ERROR" if result.severity is dg.AssetCheckSeverity.ERROR else "WARN",
            description=result.description or "a check of the function",
            bad_rows=int(not result.passed),
        )
        for result in results
    ]

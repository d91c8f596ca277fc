"""Messages of validation."""

from datetime import date

from usage_management.v1 import validation_service_pb2 as pb

from server.api import names
from server.api.reader import RequestReader
from server.api.values import date_pb, enum_pb
from server.domain.ids import ProductId, RunId
from server.domain.validation import RULES, ProductVerdict, Rule, RuleResult, Severity
from server.store.validation.findings import CatalogFinding, FindingsQuery
from server.usecases.validation.catalog_run import ValidateCatalog
from server.usecases.validation.validator import ValidateProducts

BY_ID = {rule.id: rule for rule in RULES}


def validate_products_from_pb(request: pb.ValidateProductsRequest) -> ValidateProducts:
    """Return the command to validate products. Raises InvalidArgument."""
    reader = RequestReader(request)
    product_ids = [ProductId(ids[0]) for ids in reader.names("products", names.PRODUCT)]
    command = ValidateProducts(
        product_ids=tuple(dict.fromkeys(product_ids)),
        start=reader.optional_date("start_date"),
        end=reader.optional_date("end_date"),
        with_drafts=request.include_drafts,
    )
    reader.done()
    return command


def validate_catalog_from_pb(request: pb.ValidateCatalogRequest) -> ValidateCatalog:
    """Return the command to validate the catalog. Raises InvalidArgument."""
    reader = RequestReader(request)
    command = ValidateCatalog(
        start=reader.optional_date("start_date"),
        end=reader.optional_date("end_date"),
        with_drafts=request.include_drafts,
    )
    reader.done()
    return command


def findings_from_pb(request: pb.ListValidationFindingsRequest) -> tuple[RunId, FindingsQuery]:
    """Return the run and the filters of a list of findings. Raises InvalidArgument."""
    reader = RequestReader(request)
    (run_id,) = reader.name("parent", names.RUN)
    product = reader.optional_name("product", names.PRODUCT)
    only = FindingsQuery(
        severity=reader.optional_choice("severity", Severity),
        rule_id=request.rule_id or None,
        product_id=ProductId(product[0]) if product else None,
    )
    reader.done()
    return RunId(run_id), only


def finding_to_pb(finding: CatalogFinding) -> pb.CatalogFinding:
    """Return a finding of a run."""
    return pb.CatalogFinding(
        product=names.PRODUCT.of(finding.product_id),
        rule=rule_to_pb(BY_ID[finding.rule_id]),
        finding=pb.ValidationFinding(message=finding.message, records=finding.records),
    )


def verdicts_to_pb(
    verdicts: tuple[ProductVerdict, ...], start: date
) -> pb.ValidateProductsResponse:
    """Return the results for all products."""
    return pb.ValidateProductsResponse(
        valid=all(verdict.is_valid for verdict in verdicts),
        products=map(verdict_to_pb, verdicts),
        start_date=date_pb(start),
    )


def verdict_to_pb(verdict: ProductVerdict) -> pb.ProductValidation:
    """Return the results for one product."""
    return pb.ProductValidation(
        product=names.PRODUCT.of(verdict.product_id),
        valid=verdict.is_valid,
        results=map(_result_to_pb, verdict.results),
    )


def rule_to_pb(rule: Rule) -> pb.ValidationRule:
    """Return a rule."""
    return pb.ValidationRule(
        id=rule.id,
        severity=enum_pb(pb.ValidationRule.Severity, rule.severity),
        title=rule.sentence,
        remedy=rule.remedy,
    )


def _result_to_pb(result: RuleResult) -> pb.ValidationResult:
    return pb.ValidationResult(
        rule=rule_to_pb(result.rule),
        findings=[
            pb.ValidationFinding(message=finding.message, records=finding.records)
            for finding in result.findings
        ],
        finding_count=result.count,
    )

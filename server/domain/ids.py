"""Typed ids: using a wallet id as an asset id is a type error, at no run-time cost.

Catalog records and accounts have codes that their owner chooses (`CODE`). Run-time objects have a
UUIDv7 made by `Env.new_id`, or a UUIDv5 derived from their subject, so that creating one twice has
the effect of creating it once.
"""

import re
from typing import NewType
from uuid import UUID, uuid5

TenantId = NewType("TenantId", UUID)
CredentialId = NewType("CredentialId", UUID)
AccountId = NewType("AccountId", str)

UnitClassId = NewType("UnitClassId", str)
UnitId = NewType("UnitId", str)
ResourceId = NewType("ResourceId", str)
ProductId = NewType("ProductId", str)
ProductResourceId = NewType("ProductResourceId", str)
ProductGrantId = NewType("ProductGrantId", str)
PolicyId = NewType("PolicyId", str)
SellingModelId = NewType("SellingModelId", str)
CustomFieldId = NewType("CustomFieldId", str)
PriceBookId = NewType("PriceBookId", str)
RateCardId = NewType("RateCardId", str)
RateEntryId = NewType("RateEntryId", str)
ProcedureId = NewType("ProcedureId", str)
ProcedureVersionId = NewType("ProcedureVersionId", str)

BindingTargetId = NewType("BindingTargetId", str)
QuoteId = NewType("QuoteId", UUID)
OrderId = NewType("OrderId", UUID)
AssetId = NewType("AssetId", UUID)
ExternalId = NewType("ExternalId", str)
EntitlementId = NewType("EntitlementId", UUID)
EntitlementAccountId = NewType("EntitlementAccountId", UUID)
WalletId = NewType("WalletId", UUID)
GrantId = NewType("GrantId", UUID)
CellId = NewType("CellId", UUID)
RatableSummaryId = NewType("RatableSummaryId", UUID)
LiableSummaryId = NewType("LiableSummaryId", UUID)
CorrectionId = NewType("CorrectionId", UUID)
LoadingId = NewType("LoadingId", UUID)
ExecutionId = NewType("ExecutionId", UUID)
RatingBatchId = NewType("RatingBatchId", UUID)
RunId = NewType("RunId", UUID)
RecordRunId = NewType("RecordRunId", UUID)
RepriceRunId = NewType("RepriceRunId", UUID)
JobId = NewType("JobId", UUID)
RecordId = NewType("RecordId", str)

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
RECORD_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}", re.ASCII)


def derive(base: UUID, *parts: object) -> UUID:
    """Return the id of the subject that `parts` describe within `base`: equal parts, equal id."""
    # A control character separates the parts, so that ("a", "bc") and ("ab", "c") give different
    # ids.
    return uuid5(base, "\x1f".join(map(str, parts)))

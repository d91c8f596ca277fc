// Sells a product to an account, records usage and reads what is owed, by code that is generated
// from the protos. It prints a line a step, and exits with 1 at the first that fails. USAGE_ADDRESS
// and USAGE_KEY say where and as whom: an administrator of a sandbox tenant with an empty catalog
// whose clock shows 2024-01-01.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";

import { Code } from "@connectrpc/connect";

import { Run_State } from "../gen/typescript/usage_management/v1/access_service_pb.js";
import { Product_UsageModelType, UnitClass_Kind } from "../gen/typescript/usage_management/v1/catalog_resources_pb.js";
import { RecordOutcome_Code } from "../gen/typescript/usage_management/v1/consumption_service_pb.js";
import { ErrorDetails_Reason } from "../gen/typescript/usage_management/v1/errors_pb.js";
import { Order_State } from "../gen/typescript/usage_management/v1/order_service_pb.js";
import { AggregationPolicy_Method, AggregationPolicy_Period, OveragePolicy_Overage, RatingFrequencyPolicy_Period } from "../gen/typescript/usage_management/v1/policy_resources_pb.js";
import { DiscoverRatesRequest_Freshness, RateCard_Type } from "../gen/typescript/usage_management/v1/rate_service_pb.js";
import { LiableSummary_State } from "../gen/typescript/usage_management/v1/summary_service_pb.js";
import { Cadence_Unit } from "../gen/typescript/usage_management/v1/types_pb.js";
import { connect, day, noon, number, refused, type Service } from "./client.js";

const ACCOUNT = "accounts/acme";
const PRODUCT = "products/calls-plan";
const RESOURCE = "usageResources/calls";
const BOOK = "priceBooks/standard";
const CURRENCY = "USD";
const IN_CURRENCY = { case: "currencyCode", value: CURRENCY } as const;

const done = (step: string, said: string) => console.log(`ok ${step}: ${said}`);

async function authenticate(stranger: Service) {
  const { code, info } = await refused(stranger.access.getTenant({}));
  assert.equal(code, Code.Unauthenticated);
  assert.equal(info.reason, ErrorDetails_Reason[ErrorDetails_Reason.CREDENTIAL_INVALID]);
  assert.equal(info.domain, "usage-management");
  done("a wrong key", `${Code[code]} (${info.reason})`);
}

/**
 * Puts in force: 100 calls a month are included, and others cost 0.0125 USD. Returns the token of
 * the revision that the rates have since then.
 */
async function setUpProduct(service: Service): Promise<string> {
  let trailers = new Headers();
  const answer = await service.setup.setUpProduct(
    {
      unitClasses: [
        {
          name: "unitClasses/talk",
          kind: UnitClass_Kind.USAGE,
          defaultUnit: "unitsOfMeasure/call",
        },
      ],
      unitsOfMeasure: [{ name: "unitsOfMeasure/call", unitClass: "unitClasses/talk" }],
      usageResources: [
        { name: RESOURCE, category: UnitClass_Kind.USAGE, unitClass: "unitClasses/talk" },
      ],
      rateCards: [{ name: "rateCards/list", type: RateCard_Type.BASE }],
      priceBook: { name: BOOK, rateCards: ["rateCards/list"] },
      product: { name: PRODUCT, usageModelType: Product_UsageModelType.ANCHOR },
      productUsageResources: [
        {
          productUsageResource: { usageResource: RESOURCE },
          aggregation: {
            method: AggregationPolicy_Method.SUM,
            period: AggregationPolicy_Period.DAY,
          },
          ratingFrequency: { period: RatingFrequencyPolicy_Period.MONTH },
          overage: { overage: OveragePolicy_Overage.CHARGE },
          grants: [
            {
              productUsageGrant: { name: `${PRODUCT}/grants/included`, quantity: number(100) },
              refresh: { interval: { unit: Cadence_Unit.MONTH, count: 1 } },
            },
          ],
          rateCardEntries: [
            {
              name: "rateCards/list/entries/calls",
              denomination: IN_CURRENCY,
              rate: { value: number("0.0125"), denomination: IN_CURRENCY },
            },
          ],
        },
      ],
      requestId: "polyglot-ts-setup",
    },
    { onTrailer: (received) => (trailers = received) },
  );
  const token = trailers.get("usage-revision-token");
  assert.ok(token, "no revision token");
  done("set up a product", `${answer.steps.length} steps, a revision token`);
  return token;
}

async function discoverRates(service: Service, token: string) {
  const quantities = Array.from({ length: 100 }, (_, index) => 10_000 * (index + 1));
  const answer = await service.rates.discoverRates({
    questions: quantities.map((quantity) => ({
      priceBook: BOOK,
      product: PRODUCT,
      usageResource: RESOURCE,
      denomination: IN_CURRENCY,
      quantity: number(quantity),
    })),
    freshness: DiscoverRatesRequest_Freshness.AT_LEAST,
    revisionToken: token,
  });
  assert.equal(answer.answers.length, quantities.length);
  answer.answers.forEach((found, index) => {
    assert.equal(found.status, undefined);
    assert.equal(found.terms?.rate?.value?.value, "0.0125");
    assert.equal(found.amount?.value, String(125 * (index + 1)));
  });
  assert.ok(answer.revisionToken >= token, "an older revision was read");
  done("discover 100 rates", `10000 to 1000000 calls cost 125 to 12500 ${CURRENCY}`);
}

async function refuseAccount(service: Service) {
  const account = { timeZone: "Mars/Olympus", currencyCode: CURRENCY, billingAnchorDay: 32 };
  const { code, info, badRequest } = await refused(
    service.accounts.createAccount({ accountId: "acme", account }),
  );
  assert.equal(code, Code.InvalidArgument);
  const reasons = Object.fromEntries(
    badRequest?.fieldViolations.map(({ field, reason }) => [field, reason]) ?? [],
  );
  assert.deepEqual(reasons, {
    "account.time_zone": "TIME_ZONE",
    "account.billing_anchor_day": "RANGE",
  });
  done("a bad request", `${Code[code]} (${info.reason}), ${JSON.stringify(reasons)}`);
}

async function createAccount(service: Service) {
  const account = { timeZone: "UTC", currencyCode: CURRENCY, billingAnchorDay: 1 };
  const created = await service.accounts.createAccount({ accountId: "acme", account });
  assert.equal(created.name, ACCOUNT);
  done("create an account", created.name);
}

/**
 * Sends one request twice: the repetition is answered with the same quote, and a trailing header
 * says so. Returns the quote's name.
 */
async function quoteTwice(service: Service): Promise<string> {
  const replayed: (string | null)[] = [];
  const quote = () =>
    service.quotes.createQuote(
      {
        parent: ACCOUNT,
        quote: { priceBook: BOOK, lines: [{ product: PRODUCT, startDate: day(2024, 1, 1) }] },
        requestId: "polyglot-ts-quote",
      },
      { onTrailer: (trailers) => replayed.push(trailers.get("usage-replayed")) },
    );
  const first = await quote();
  const second = await quote();
  assert.equal(second.name, first.name);
  assert.deepEqual(replayed, [null, "true"]);
  done("quote, and repeat it", `usage-replayed: ${replayed[1]}`);
  return first.name;
}

/** Returns the name of the asset that the order created. */
async function orderAndActivate(service: Service, quote: string): Promise<string> {
  const order = await service.orders.createOrder({
    source: { case: "quote", value: quote },
    requestId: "polyglot-ts-order",
  });
  const active = await service.orders.activateOrder({
    name: order.name,
    requestId: "polyglot-ts-activate",
  });
  assert.equal(active.state, Order_State.ACTIVE);
  assert.equal(active.assets.length, 1);
  done("order and activate", "1 asset");
  return active.assets[0];
}

/** Moves the tenant's clock, and waits until all that was due on the way has happened. */
async function advance(service: Service, date: string) {
  let run = await service.access.advanceClock({ toTime: noon(date) });
  while (run.state === Run_State.RUNNING) {
    await setTimeout(50);
    run = await service.access.getRun({ name: run.name });
  }
  assert.equal(run.state, Run_State.DONE);
  done("advance the clock", date);
}

async function recordTwice(service: Service, asset: string) {
  const records = Array.from({ length: 1000 }, (_, index) => ({
    recordId: `call-${index}`,
    asset,
    usageResource: RESOURCE,
    quantity: number(1),
    usageTime: noon(`2024-01-${String(1 + (index % 15)).padStart(2, "0")}`),
  }));
  for (const code of [RecordOutcome_Code.ACCEPTED, RecordOutcome_Code.DUPLICATE]) {
    const { outcomes } = await service.consumption.recordUsage({ records });
    assert.equal(outcomes.length, records.length);
    for (const [index, outcome] of outcomes.entries()) {
      assert.equal(outcome.code, code, outcome.status?.message);
      assert.equal(outcome.usageRecord, `${ACCOUNT}/usageRecords/call-${index}`);
    }
  }
  done("record 1000 records, twice", "ACCEPTED, then DUPLICATE");
}

async function callAtOnce(service: Service) {
  const calls = Array.from({ length: 300 }, () => service.wallets.listWallets({ parent: ACCOUNT }));
  for (const { wallets } of await Promise.all(calls)) {
    assert.deepEqual(wallets.map((wallet) => wallet.usedQuantity?.value), ["1000"]);
  }
  done("300 calls at once", "all answered with 1000 used calls");
}

async function readLiableLine(service: Service, asset: string) {
  const { liableSummaries } = await service.summaries.listLiableSummaries({ parent: ACCOUNT });
  assert.equal(liableSummaries.length, 1);
  const [line] = liableSummaries;
  assert.equal(line.asset, asset);
  assert.equal(line.usageResource, RESOURCE);
  assert.equal(line.state, LiableSummary_State.READY_FOR_INVOICING);
  assert.equal(line.usedQuantity?.value, "1000");
  assert.equal(line.overageQuantity?.value, "900");
  assert.equal(line.exactAmount?.value, "11.25");
  assert.equal(line.amount?.units, 11n);
  assert.equal(line.amount?.nanos, 250_000_000);
  assert.equal(line.amount?.currencyCode, CURRENCY);
  done("read what is owed", `900 of 1000 calls at 0.0125 ${CURRENCY} are ${line.exactAmount.value}`);
}

async function main() {
  const { USAGE_ADDRESS: address = "", USAGE_KEY: key = "" } = process.env;
  const stranger = connect(address, "usage_wrong");
  await authenticate(stranger);
  stranger.close();
  const service = connect(address, key);
  const token = await setUpProduct(service);
  await discoverRates(service, token);
  await refuseAccount(service);
  await createAccount(service);
  const quote = await quoteTwice(service);
  const asset = await orderAndActivate(service, quote);
  await advance(service, "2024-01-20");
  await recordTwice(service, asset);
  await callAtOnce(service);
  await advance(service, "2024-02-05");
  await readLiableLine(service, asset);
  service.close();
}

try {
  await main();
} catch (error) {
  console.error("FAILED", error);
  process.exit(1);
}

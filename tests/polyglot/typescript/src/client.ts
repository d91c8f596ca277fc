// A connection to the service, the details of a refusal, and short words for values.
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema } from "../gen/typescript/google/rpc/error_details_pb.js";
import { DateSchema } from "../gen/typescript/google/type/date_pb.js";
import { DecimalSchema } from "../gen/typescript/google/type/decimal_pb.js";
import { AccessService } from "../gen/typescript/usage_management/v1/access_service_pb.js";
import { AccountService } from "../gen/typescript/usage_management/v1/account_service_pb.js";
import { ConsumptionService } from "../gen/typescript/usage_management/v1/consumption_service_pb.js";
import { OrderService } from "../gen/typescript/usage_management/v1/order_service_pb.js";
import { QuoteService } from "../gen/typescript/usage_management/v1/quote_service_pb.js";
import { RateService } from "../gen/typescript/usage_management/v1/rate_service_pb.js";
import { SetupService } from "../gen/typescript/usage_management/v1/setup_service_pb.js";
import { SummaryService } from "../gen/typescript/usage_management/v1/summary_service_pb.js";
import { WalletService } from "../gen/typescript/usage_management/v1/wallet_service_pb.js";

/** Clients of each service that the program calls, all on one connection. */
export type Service = ReturnType<typeof connect>;

/** Opens a connection that sends the key with every call. */
export function connect(address: string, key: string) {
  const baseUrl = `http://${address}`;
  const session = new Http2SessionManager(baseUrl);
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl,
    interceptors: [authorize],
    sessionManager: session,
    defaultTimeoutMs: 30_000,
  });
  return {
    access: createClient(AccessService, transport),
    accounts: createClient(AccountService, transport),
    consumption: createClient(ConsumptionService, transport),
    orders: createClient(OrderService, transport),
    quotes: createClient(QuoteService, transport),
    rates: createClient(RateService, transport),
    setup: createClient(SetupService, transport),
    summaries: createClient(SummaryService, transport),
    wallets: createClient(WalletService, transport),
    close: () => session.abort(),
  };
}

/** Decodes the details of a call that must be refused. */
export async function refused(call: Promise<unknown>) {
  const error = await call.then(
    () => new ConnectError("the call succeeded", Code.Unknown),
    (reason: unknown) => ConnectError.from(reason),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  const [badRequest] = error.findDetails(BadRequestSchema);
  if (info === undefined) {
    throw new Error(`no ErrorInfo in ${error.message}`);
  }
  return { code: error.code, info, badRequest };
}

export const number = (value: string | number) => create(DecimalSchema, { value: String(value) });

export const day = (year: number, month: number, day: number) =>
  create(DateSchema, { year, month, day });

export const noon = (date: string) => timestampFromDate(new Date(`${date}T12:00:00Z`));

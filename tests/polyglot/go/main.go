// Command polyglot sells a product to an account, records usage and reads what is owed, by code
// that is generated from the protos. It prints a line a step, and exits with 1 at the first that
// fails. USAGE_ADDRESS and USAGE_KEY say where and as whom: an administrator of a sandbox tenant
// with an empty catalog whose clock shows 2024-01-01.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "polyglot/gen/go/usagemanagementv1"
)

const (
	account  = "accounts/acme"
	product  = "products/calls-plan"
	resource = "usageResources/calls"
	book     = "priceBooks/standard"
	currency = "USD"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	address, key := os.Getenv("USAGE_ADDRESS"), os.Getenv("USAGE_KEY")

	authenticate(ctx, connect(address, "usage_wrong"))
	service := connect(address, key)
	token := setUpProduct(ctx, service)
	discoverRates(ctx, service, token)
	refuseAccount(ctx, service)
	createAccount(ctx, service)
	quote := quoteTwice(ctx, service)
	asset := orderAndActivate(ctx, service, quote)
	advance(ctx, service, noon(2024, time.January, 20))
	recordTwice(ctx, service, asset)
	callAtOnce(ctx, service)
	advance(ctx, service, noon(2024, time.February, 5))
	readLiableLine(ctx, service, asset)
}

func authenticate(ctx context.Context, stranger client) {
	const step = "a wrong key"
	_, err := stranger.access.GetTenant(ctx, &pb.GetTenantRequest{})
	refusal := refused(step, err)
	check(step, refusal.code == "Unauthenticated", "code %s", refusal.code)
	reason := pb.ErrorDetails_Reason(pb.ErrorDetails_Reason_value[refusal.info.Reason])
	check(step, reason == pb.ErrorDetails_CREDENTIAL_INVALID, "reason %s", refusal.info.Reason)
	check(step, refusal.info.Domain == "usage-management", "domain %s", refusal.info.Domain)
	done(step, "%s (%s)", refusal.code, refusal.info.Reason)
}

// setUpProduct puts in force: 100 calls a month are included, and others cost 0.0125 USD. It
// returns the token of the revision that the rates have since then.
func setUpProduct(ctx context.Context, service client) string {
	const step = "set up a product"
	var trailer metadata.MD
	answer, err := service.setup.SetUpProduct(ctx, &pb.SetUpProductRequest{
		UnitClasses: []*pb.UnitClass{{
			Name: "unitClasses/talk", Kind: pb.UnitClass_USAGE, DefaultUnit: "unitsOfMeasure/call",
		}},
		UnitsOfMeasure: []*pb.UnitOfMeasure{{
			Name: "unitsOfMeasure/call", UnitClass: "unitClasses/talk",
		}},
		UsageResources: []*pb.UsageResource{{
			Name: resource, Category: pb.UnitClass_USAGE, UnitClass: "unitClasses/talk",
		}},
		RateCards: []*pb.RateCard{{Name: "rateCards/list", Type: pb.RateCard_BASE}},
		PriceBook: &pb.PriceBook{Name: book, RateCards: []string{"rateCards/list"}},
		Product:   &pb.Product{Name: product, UsageModelType: pb.Product_ANCHOR},
		ProductUsageResources: []*pb.ProductResourceSetup{{
			ProductUsageResource: &pb.ProductUsageResource{UsageResource: resource},
			Aggregation: &pb.AggregationPolicy{
				Method: pb.AggregationPolicy_SUM, Period: pb.AggregationPolicy_DAY,
			},
			RatingFrequency: &pb.RatingFrequencyPolicy{Period: pb.RatingFrequencyPolicy_MONTH},
			Overage:         &pb.OveragePolicy{Overage: pb.OveragePolicy_CHARGE},
			Grants: []*pb.ProductGrantSetup{{
				ProductUsageGrant: &pb.ProductUsageGrant{
					Name: product + "/grants/included", Quantity: number("100"),
				},
				Refresh: &pb.RefreshPolicy{Interval: &pb.Cadence{Unit: pb.Cadence_MONTH, Count: 1}},
			}},
			RateCardEntries: []*pb.RateCardEntry{{
				Name:         "rateCards/list/entries/calls",
				Denomination: &pb.RateCardEntry_CurrencyCode{CurrencyCode: currency},
				Rate: &pb.Rate{
					Value:        number("0.0125"),
					Denomination: &pb.Rate_CurrencyCode{CurrencyCode: currency},
				},
			}},
		}},
		RequestId: "polyglot-go-setup",
	}, grpc.Trailer(&trailer))
	must(step, err)
	token := header(trailer, "usage-revision-token")
	check(step, token != "", "no revision token in %v", trailer)
	done(step, "%d steps, a revision token", len(answer.Steps))
	return token
}

func discoverRates(ctx context.Context, service client, token string) {
	const step, questions = "discover 100 rates", 100
	request := &pb.DiscoverRatesRequest{
		Freshness:     pb.DiscoverRatesRequest_AT_LEAST,
		RevisionToken: token,
	}
	for quantity := 1; quantity <= questions; quantity++ {
		request.Questions = append(request.Questions, &pb.RateQuestion{
			PriceBook:     book,
			Product:       product,
			UsageResource: resource,
			Denomination:  &pb.RateQuestion_CurrencyCode{CurrencyCode: currency},
			Quantity:      number("%d", 10_000*quantity),
		})
	}
	answer, err := service.rates.DiscoverRates(ctx, request)
	must(step, err)
	check(step, len(answer.Answers) == questions, "%d answers", len(answer.Answers))
	for index, found := range answer.Answers {
		check(step, found.Status == nil, "answer %d: %v", index, found.Status)
		rate, amount := found.Terms.Rate.Value.Value, found.Amount.Value
		expected := fmt.Sprint(125 * (index + 1))
		check(step, rate == "0.0125", "rate %s", rate)
		check(step, amount == expected, "amount %s, expected %s", amount, expected)
	}
	check(step, answer.RevisionToken >= token, "revision %s < %s", answer.RevisionToken, token)
	done(step, "10000 to 1000000 calls cost 125 to 12500 %s", currency)
}

func refuseAccount(ctx context.Context, service client) {
	const step = "a bad request"
	_, err := service.accounts.CreateAccount(ctx, &pb.CreateAccountRequest{
		AccountId: "acme",
		Account:   &pb.Account{TimeZone: "Mars/Olympus", CurrencyCode: currency, BillingAnchorDay: 32},
	})
	refusal := refused(step, err)
	check(step, refusal.code == "InvalidArgument", "code %s", refusal.code)
	check(step, refusal.badRequest != nil, "no BadRequest in %v", err)
	reasons := map[string]string{}
	for _, violation := range refusal.badRequest.FieldViolations {
		reasons[violation.Field] = violation.Reason
	}
	check(step, reasons["account.time_zone"] == "TIME_ZONE", "violations %v", reasons)
	check(step, reasons["account.billing_anchor_day"] == "RANGE", "violations %v", reasons)
	done(step, "%s (%s), %v", refusal.code, refusal.info.Reason, reasons)
}

func createAccount(ctx context.Context, service client) {
	const step = "create an account"
	created, err := service.accounts.CreateAccount(ctx, &pb.CreateAccountRequest{
		AccountId: "acme",
		Account:   &pb.Account{TimeZone: "UTC", CurrencyCode: currency, BillingAnchorDay: 1},
	})
	must(step, err)
	check(step, created.Name == account, "name %s", created.Name)
	done(step, "%s", created.Name)
}

// quoteTwice sends one request twice: the repetition is answered with the same quote, and a
// trailing header says so. It returns the quote's name.
func quoteTwice(ctx context.Context, service client) string {
	const step = "quote, and repeat it"
	request := &pb.CreateQuoteRequest{
		Parent: account,
		Quote: &pb.Quote{
			PriceBook: book,
			Lines:     []*pb.SaleLine{{Product: product, StartDate: day(2024, 1, 1)}},
		},
		RequestId: "polyglot-go-quote",
	}
	var first, second metadata.MD
	quote, err := service.quotes.CreateQuote(ctx, request, grpc.Trailer(&first))
	must(step, err)
	again, err := service.quotes.CreateQuote(ctx, request, grpc.Trailer(&second))
	must(step, err)
	check(step, again.Name == quote.Name, "%s, then %s", quote.Name, again.Name)
	replayed := [2]string{header(first, "usage-replayed"), header(second, "usage-replayed")}
	check(step, replayed == [2]string{"", "true"}, "usage-replayed %q", replayed)
	done(step, "usage-replayed: %s", replayed[1])
	return quote.Name
}

// orderAndActivate returns the name of the asset that the order created.
func orderAndActivate(ctx context.Context, service client, quote string) string {
	const step = "order and activate"
	order, err := service.orders.CreateOrder(ctx, &pb.CreateOrderRequest{
		Source: &pb.CreateOrderRequest_Quote{Quote: quote}, RequestId: "polyglot-go-order",
	})
	must(step, err)
	active, err := service.orders.ActivateOrder(ctx, &pb.ActivateOrderRequest{
		Name: order.Name, RequestId: "polyglot-go-activate",
	})
	must(step, err)
	check(step, active.State == pb.Order_ACTIVE, "state %s", active.State)
	check(step, len(active.Assets) == 1, "assets %v", active.Assets)
	done(step, "1 asset")
	return active.Assets[0]
}

// advance moves the tenant's clock, and waits until all that was due on the way has happened.
func advance(ctx context.Context, service client, to *timestamppb.Timestamp) {
	const step = "advance the clock"
	run, err := service.access.AdvanceClock(ctx, &pb.AdvanceClockRequest{ToTime: to})
	must(step, err)
	for run.State == pb.Run_RUNNING {
		time.Sleep(50 * time.Millisecond)
		run, err = service.access.GetRun(ctx, &pb.GetRunRequest{Name: run.Name})
		must(step, err)
	}
	check(step, run.State == pb.Run_DONE, "%v", run)
	done(step, "%s", to.AsTime().Format(time.DateOnly))
}

func recordTwice(ctx context.Context, service client, asset string) {
	const step, records = "record 1000 records, twice", 1000
	request := &pb.RecordUsageRequest{}
	for index := range records {
		request.Records = append(request.Records, &pb.UsageRecordInput{
			RecordId:      fmt.Sprintf("call-%d", index),
			Asset:         asset,
			UsageResource: resource,
			Quantity:      number("1"),
			UsageTime:     noon(2024, time.January, 1+index%15),
		})
	}
	for _, code := range []pb.RecordOutcome_Code{pb.RecordOutcome_ACCEPTED, pb.RecordOutcome_DUPLICATE} {
		answer, err := service.consumption.RecordUsage(ctx, request)
		must(step, err)
		check(step, len(answer.Outcomes) == records, "%d outcomes", len(answer.Outcomes))
		for index, outcome := range answer.Outcomes {
			check(step, outcome.Code == code, "outcome %d: %v, expected %s", index, outcome, code)
			name := fmt.Sprintf("%s/usageRecords/call-%d", account, index)
			check(step, outcome.UsageRecord == name, "outcome %d names %q", index, outcome.UsageRecord)
		}
	}
	done(step, "ACCEPTED, then DUPLICATE")
}

func callAtOnce(ctx context.Context, service client) {
	const step, calls = "300 calls at once", 300
	errors := make([]error, calls)
	var group sync.WaitGroup
	for index := range calls {
		group.Go(func() {
			answer, err := service.wallets.ListWallets(ctx, &pb.ListWalletsRequest{Parent: account})
			if err == nil && (len(answer.Wallets) != 1 || answer.Wallets[0].UsedQuantity.Value != "1000") {
				err = fmt.Errorf("wallets %v", answer.Wallets)
			}
			errors[index] = err
		})
	}
	group.Wait()
	for _, err := range errors {
		must(step, err)
	}
	done(step, "all answered with 1000 used calls")
}

func readLiableLine(ctx context.Context, service client, asset string) {
	const step = "read what is owed"
	answer, err := service.summaries.ListLiableSummaries(ctx, &pb.ListLiableSummariesRequest{Parent: account})
	must(step, err)
	check(step, len(answer.LiableSummaries) == 1, "lines %v", answer.LiableSummaries)
	line := answer.LiableSummaries[0]
	check(step, line.Asset == asset && line.UsageResource == resource, "line %v", line)
	check(step, line.State == pb.LiableSummary_READY_FOR_INVOICING, "state %s", line.State)
	check(step, line.UsedQuantity.Value == "1000", "used %s", line.UsedQuantity.Value)
	check(step, line.OverageQuantity.Value == "900", "overage %s", line.OverageQuantity.Value)
	check(step, line.ExactAmount.Value == "11.25", "exact amount %s", line.ExactAmount.Value)
	amount := line.Amount
	owed := amount.Units == 11 && amount.Nanos == 250_000_000 && amount.CurrencyCode == currency
	check(step, owed, "amount %v", amount)
	done(step, "900 of 1000 calls at 0.0125 %s are %s", currency, line.ExactAmount.Value)
}

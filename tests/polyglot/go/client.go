package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/decimal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "polyglot/gen/go/usagemanagementv1"
)

// client has a stub for each service that the program calls, all on one connection.
type client struct {
	access      pb.AccessServiceClient
	accounts    pb.AccountServiceClient
	consumption pb.ConsumptionServiceClient
	orders      pb.OrderServiceClient
	quotes      pb.QuoteServiceClient
	rates       pb.RateServiceClient
	setup       pb.SetupServiceClient
	summaries   pb.SummaryServiceClient
	wallets     pb.WalletServiceClient
}

// connect opens a connection that sends the key with every call.
func connect(address, key string) client {
	authorize := func(
		ctx context.Context, method string, request, answer any,
		connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
		return invoke(ctx, method, request, answer, connection, options...)
	}
	connection, err := grpc.NewClient(
		address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(authorize),
	)
	must("connect", err)
	return client{
		access:      pb.NewAccessServiceClient(connection),
		accounts:    pb.NewAccountServiceClient(connection),
		consumption: pb.NewConsumptionServiceClient(connection),
		orders:      pb.NewOrderServiceClient(connection),
		quotes:      pb.NewQuoteServiceClient(connection),
		rates:       pb.NewRateServiceClient(connection),
		setup:       pb.NewSetupServiceClient(connection),
		summaries:   pb.NewSummaryServiceClient(connection),
		wallets:     pb.NewWalletServiceClient(connection),
	}
}

// refusal is what a refused call says: the status code, and the details that come with it.
type refusal struct {
	code       string
	info       *errdetails.ErrorInfo
	badRequest *errdetails.BadRequest
}

// refused decodes the details of a call that must have failed.
func refused(step string, err error) refusal {
	found, ok := status.FromError(err)
	check(step, ok && err != nil, "expected a refusal, got %v", err)
	result := refusal{code: found.Code().String()}
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.info = detail
		case *errdetails.BadRequest:
			result.badRequest = detail
		}
	}
	check(step, result.info != nil, "no ErrorInfo in %v", err)
	return result
}

// header returns the only value of a header, and "" if it was not sent.
func header(from metadata.MD, name string) string {
	return strings.Join(from.Get(name), ",")
}

func number(format string, values ...any) *decimal.Decimal {
	return &decimal.Decimal{Value: fmt.Sprintf(format, values...)}
}

func day(year, month, day int32) *date.Date {
	return &date.Date{Year: year, Month: month, Day: day}
}

func noon(year int, month time.Month, day int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(year, month, day, 12, 0, 0, 0, time.UTC))
}

// done says that a step succeeded.
func done(step, format string, values ...any) {
	fmt.Printf("ok %s: %s\n", step, fmt.Sprintf(format, values...))
}

// check ends the program unless the condition holds.
func check(step string, holds bool, format string, values ...any) {
	if !holds {
		fmt.Printf("FAILED %s: %s\n", step, fmt.Sprintf(format, values...))
		os.Exit(1)
	}
}

// must ends the program if there is an error.
func must(step string, err error) {
	check(step, err == nil, "%v", err)
}

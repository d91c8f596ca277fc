"""The calls about rates that take figures."""

CREATE = "RateService/CreateRateCardEntry"
MOVE = "RateService/ChangeRateCardEntryStates"
DISCOVER = "RateService/DiscoverRates"

"""`usage target`: contracts and custom targets, to which what is sold is bound."""

from typing import Annotated

import typer
from usage_management.v1 import account_service_pb2 as pb
from usage_management.v1 import catalog_resources_pb2 as catalog

from clients import UsageClient
from clients.cli.names import ACCOUNT, account_name, named, pair
from clients.cli.session import MISUSED, fail, session
from clients.pages import pages
from clients.screens import last, rows
from clients.values import enum_name

target = typer.Typer(
    help="Binding targets: contracts, and teams or devices of an account.", no_args_is_help=True
)

TARGET = Annotated[str, typer.Argument(metavar="TARGET", help="its id, as in TEAM-A")]
NAME = Annotated[str | None, typer.Option(help="the name for people")]
KIND = Annotated[
    str | None, typer.Option(metavar="KIND", help="contract, or custom for anything else")
]
OVERAGE = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RESOURCE=POLICY",
        help="the overage policy of a resource for all anchors that are bound to it; repeatable",
    ),
]


@target.command("create")
def create_target(
    context: typer.Context,
    account: ACCOUNT,
    target_id: TARGET,
    kind: KIND = None,
    name: NAME = None,
    overage: OVERAGE = None,
) -> None:
    """Create a target of an account; a repeat changes nothing."""
    now = session(context)
    made = pb.BindingTarget(
        display_name=name or "", kind=_kind(kind or "custom"), policies=_overages(overage)
    )

    async def work(client: UsageClient) -> None:
        answer = await client.accounts.CreateBindingTarget(
            pb.CreateBindingTargetRequest(
                parent=account_name(account),
                binding_target_id=last(target_id),
                binding_target=made,
            )
        )
        now.show(answer, "", _told(answer))
        now.hint(f"sell {last(account)} --product PRODUCT --target {answer.name}")

    now.run(work)


@target.command("list")
def list_targets(context: typer.Context, account: ACCOUNT) -> None:
    """List the targets of an account."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = pb.ListBindingTargetsRequest(parent=account_name(account), page_size=1000)
        found = [one async for one in pages(client.accounts.ListBindingTargets, request)]
        cells = [
            (last(one.name), enum_name(one, "kind").lower(), one.display_name) for one in found
        ]
        now.show(found, "binding_targets", rows(("target", "kind", "name"), cells))

    now.run(work)


@target.command("show")
def show_target(context: typer.Context, account: ACCOUNT, target_id: TARGET) -> None:
    """Show a target and its policies."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await client.accounts.GetBindingTarget(
            pb.GetBindingTargetRequest(name=_name(account, target_id))
        )
        now.show(found, "", _told(found))

    now.run(work)


@target.command("update")
def update_target(
    context: typer.Context,
    account: ACCOUNT,
    target_id: TARGET,
    kind: KIND = None,
    name: NAME = None,
    overage: OVERAGE = None,
) -> None:
    """Change a target; its kind and its policies only while nothing is quoted or sold to it."""
    now = session(context)
    wanted = pb.BindingTarget(name=_name(account, target_id))
    request = pb.UpdateBindingTargetRequest(binding_target=wanted)
    if name is not None:
        request.binding_target.display_name = name
        request.update_mask.paths.append("display_name")
    if kind is not None:
        request.binding_target.kind = _kind(kind)
        request.update_mask.paths.append("kind")
    if overage is not None:
        request.binding_target.policies.extend(_overages(overage))
        request.update_mask.paths.append("policies")
    if not request.update_mask.paths:
        fail(MISUSED, "name what changes: --name, --kind or --overage")

    async def work(client: UsageClient) -> None:
        answer = await client.accounts.UpdateBindingTarget(request)
        now.show(answer, "", _told(answer))

    now.run(work)


@target.command("delete")
def delete_target(context: typer.Context, account: ACCOUNT, target_id: TARGET) -> None:
    """Delete a target to which nothing was quoted or sold."""
    now = session(context)
    name = _name(account, target_id)

    async def work(client: UsageClient) -> None:
        await client.accounts.DeleteBindingTarget(pb.DeleteBindingTargetRequest(name=name))
        if now.as_json:
            now.print_json({"name": name, "deleted": True})
        else:
            now.console.print(f"{name} is deleted", soft_wrap=True)

    now.run(work)


def _name(account: str, target_id: str) -> str:
    return f"{account_name(account)}/bindingTargets/{last(target_id)}"


def _kind(text: str) -> "pb.BindingTarget.Kind.ValueType":
    """Return a kind of target. Ends the program if it is none."""
    known = {name.lower(): value for name, value in pb.BindingTarget.Kind.items() if value}
    value = known.get(text.lower())
    if value is None:
        fail(MISUSED, f"{text!r} is no kind of target; name {' or '.join(known)}")
    return value


def _overages(given: list[str] | None) -> list[catalog.PolicyOverride]:
    return [
        catalog.PolicyOverride(
            usage_resource=named("usageResources", resource),
            policies=catalog.ResourcePolicies(overage_policy=named("overagePolicies", policy)),
        )
        for resource, policy in map(pair, given or ())
    ]


def _told(found: pb.BindingTarget) -> str:
    lines = [f"{found.name}: {enum_name(found, 'kind').lower()} {found.display_name}".rstrip()]
    for one in found.policies:
        named_policies = [value for _, value in one.policies.ListFields() if isinstance(value, str)]
        lines.append(f"  {last(one.usage_resource)}: {', '.join(named_policies)}")
    return "\n".join(lines)

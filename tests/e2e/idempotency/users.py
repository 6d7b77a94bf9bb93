"""Requests to users."""

from __future__ import annotations

import secrets
from typing import Final

from tests.e2e.idempotency.desk import Desk, Make, Request, broker


def register(desk: Desk) -> Request:
    email = f"{secrets.token_hex(8)}@example.com"
    return desk.own("/v1/users", {"email": email, "password": "a long enough secret", "fullName": "Ana"})


def update_user(desk: Desk) -> Request:
    return desk.own("/v1/users/me", {"fullName": f"Ana {secrets.token_hex(4)}"}, "PATCH")


def grant(desk: Desk) -> Request:
    return desk.admin(f"/v1/users/{desk.staff('ROLE_FINANCE')}:grantRole", {"role": "ROLE_ADJUSTER"})


def revoke(desk: Desk) -> Request:
    return desk.admin(f"/v1/users/{desk.staff('ROLE_FINANCE')}:revokeRole", {"role": "ROLE_FINANCE"})


def set_authority(desk: Desk) -> Request:
    return desk.admin(f"/v1/users/{desk.staff('ROLE_UNDERWRITER')}/authority", {"underwritingLevel": 3}, "PUT")


def disable(desk: Desk) -> Request:
    return desk.admin(f"/v1/users/{desk.user()}:disable", {})


def enable(desk: Desk) -> Request:
    user_id = desk.user()
    desk.send(desk.admin(f"/v1/users/{user_id}:disable", {}))
    return desk.admin(f"/v1/users/{user_id}:enable", {})


def create_customer(desk: Desk) -> Request:
    return desk.admin("/v1/customers", {"customer": {"kind": "KIND_PERSON", "name": f"Rui {secrets.token_hex(4)}"}})


def update_customer(desk: Desk) -> Request:
    return desk.admin(f"/v1/customers/{desk.customer()}", {"phones": ["+258841234567"]}, "PATCH")


def link(desk: Desk) -> Request:
    return desk.admin(f"/v1/customers/{desk.customer()}:linkUser", {"userId": desk.user()})


def assign_partner(desk: Desk) -> Request:
    return desk.admin(f"/v1/customers/{desk.customer()}:assignPartner", {"partnerId": desk.partner()})


def create_partner(desk: Desk) -> Request:
    return desk.admin("/v1/partners", broker())


def update_partner(desk: Desk) -> Request:
    return desk.admin(f"/v1/partners/{desk.partner()}", {"phone": "+258841234567"}, "PATCH")


def suspend(desk: Desk) -> Request:
    return desk.admin(f"/v1/partners/{desk.partner()}:suspend", {})


def resume(desk: Desk) -> Request:
    partner_id = desk.partner()
    desk.send(desk.admin(f"/v1/partners/{partner_id}:suspend", {}))
    return desk.admin(f"/v1/partners/{partner_id}:resume", {})


def add_member(desk: Desk) -> Request:
    return desk.admin(f"/v1/partners/{desk.partner()}:addMember", {"userId": desk.staff("ROLE_AGENT")})


def remove_member(desk: Desk) -> Request:
    partner_id, user_id = desk.member()
    return desk.admin(f"/v1/partners/{partner_id}:removeMember", {"userId": user_id})


def set_products(desk: Desk) -> Request:
    return desk.admin(f"/v1/partners/{desk.partner()}/products", {"productCodes": ["motor"]}, "PUT")


REQUESTS: Final[dict[str, Make]] = {
    "UserService/RegisterUser": register,
    "UserService/UpdateUser": update_user,
    "UserService/GrantRole": grant,
    "UserService/RevokeRole": revoke,
    "UserService/SetAuthority": set_authority,
    "UserService/DisableUser": disable,
    "UserService/EnableUser": enable,
    "CustomerService/CreateCustomer": create_customer,
    "CustomerService/UpdateCustomer": update_customer,
    "CustomerService/LinkUser": link,
    "CustomerService/AssignPartner": assign_partner,
    "PartnerService/CreatePartner": create_partner,
    "PartnerService/UpdatePartner": update_partner,
    "PartnerService/SuspendPartner": suspend,
    "PartnerService/ResumePartner": resume,
    "PartnerService/AddPartnerMember": add_member,
    "PartnerService/RemovePartnerMember": remove_member,
    "PartnerService/SetPartnerProducts": set_products,
}

// What a newcomer writes with generated types: fields with a default are left out, ids are numbers, webhooks are typed.
import type { components, paths, webhooks } from "./roster/types";
import type { UserCreate, GetUserData, WebhookBody } from "./roster/client/types.gen";

type Path = paths["/api/v2/users/{userId}"]["parameters"]["path"];
const user: components["schemas"]["UserCreate"] & UserCreate = {
  name: "Mary", email: "email@website.com", password: "MySecret123", active: true, tfa: true, groups: [1],
};
const read = (u: components["schemas"]["User"]): Path & GetUserData["path"] => ({ userId: u.id });
const me: Path & GetUserData["path"] = { userId: "me" };
type Delivered = webhooks["v2"]["post"]["requestBody"]["content"]["application/json"];
const told = (e: Delivered & WebhookBody): string => (e.type === "PING" ? "a test" : e.user.name);
console.log(user, read, me, told);

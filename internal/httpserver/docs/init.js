const api = new URLSearchParams(location.search).get("api");
const url = /^[a-z]+$/.test(api ?? "") ? `openapi/${api}.yaml` : "openapi.yaml";
SwaggerUIBundle({ url, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: "none" });

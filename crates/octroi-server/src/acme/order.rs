//! One order, from the question to the certificate.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::{AcmeError, ChallengeKind};
use crate::tls::{Challenges, Offer, provider};

/// How the authority is asked whether it is done: soon at first, then less often.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// Obtains a certificate; returns the new key and the chain as one PEM text.
pub(super) async fn order(
    account: &Account,
    host: &str,
    kind: ChallengeKind,
    challenges: &Arc<Challenges>,
) -> Result<String, AcmeError> {
    let identifiers = [Identifier::Dns(host.to_owned())];
    let mut order = account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .map_err(AcmeError::Authority)?;
    // The answers stay on offer until the authority has looked.
    let offers = answer_challenges(&mut order, host, kind, challenges).await?;
    let status = order
        .poll_ready(&POLL)
        .await
        .map_err(AcmeError::Authority)?;
    if status != OrderStatus::Ready {
        let reason = refusal_reason(&mut order).await;
        return Err(AcmeError::Unverified { reason });
    }
    drop(offers);
    let key = KeyPair::generate().map_err(AcmeError::Key)?;
    let request = signing_request(host, &key).map_err(AcmeError::Key)?;
    order
        .finalize_csr(&request)
        .await
        .map_err(AcmeError::Authority)?;
    let chain = order
        .poll_certificate(&POLL)
        .await
        .map_err(AcmeError::Authority)?;
    Ok(format!("{}{chain}", key.serialize_pem()))
}

async fn answer_challenges(
    order: &mut Order,
    host: &str,
    kind: ChallengeKind,
    challenges: &Arc<Challenges>,
) -> Result<Vec<Offer>, AcmeError> {
    let mut offers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(AcmeError::Authority)?;
        // Authorities remember hosts that they checked a short while ago.
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = find_challenge(&mut authorization, kind)?;
        offers.push(offer(&challenge, host, kind, challenges)?);
        challenge.set_ready().await.map_err(AcmeError::Authority)?;
    }
    Ok(offers)
}

fn find_challenge<'a>(
    authorization: &'a mut AuthorizationHandle<'a>,
    kind: ChallengeKind,
) -> Result<ChallengeHandle<'a>, AcmeError> {
    let wanted = match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    authorization
        .challenge(wanted)
        .ok_or(AcmeError::NoChallenge { challenge: kind })
}

fn offer(
    challenge: &ChallengeHandle<'_>,
    host: &str,
    kind: ChallengeKind,
    challenges: &Arc<Challenges>,
) -> Result<Offer, AcmeError> {
    let answer = challenge.key_authorization();
    match kind {
        ChallengeKind::Http01 => Ok(challenges.offer_http(&challenge.token, answer.as_str())),
        ChallengeKind::TlsAlpn01 => {
            let certificate = challenge_certificate(host, answer.digest().as_ref())?;
            Ok(challenges.offer_alpn(host, certificate))
        }
    }
}

/// The self-signed certificate whose extension proves that we know the account's key (RFC 8737, 3).
fn challenge_certificate(host: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let key = KeyPair::generate().map_err(AcmeError::Key)?;
    let mut params = CertificateParams::new([host.to_owned()]).map_err(AcmeError::Key)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(AcmeError::Key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(key);
    // Not checked against the certificate, whose critical extension no ordinary client knows.
    key.map(|key| CertifiedKey::new(vec![certificate.der().clone()], key))
        .map_err(AcmeError::ChallengeCertificate)
}

fn signing_request(host: &str, key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// What the authority says of the challenge that failed; it is the operator's best hint.
async fn refusal_reason(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            let problem = state.challenges.iter().find_map(|c| c.error.as_ref());
            if let Some(detail) = problem.and_then(|problem| problem.detail.clone()) {
                return detail;
            }
        }
    }
    "no reason given".to_owned()
}
